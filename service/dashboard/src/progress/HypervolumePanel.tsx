import { lazy, Suspense } from "react";
import type { HypervolumePoint } from "../api/types";
import { DataTable } from "../charts/DataTable";
import { HYPERVOLUME } from "../format/metrics";
import { significant } from "../format/numbers";
import { duration } from "../format/time";
import { ErrorBoundary } from "../parts/ErrorBoundary";
import { Loading } from "../parts/Notice";
import { Segments } from "../parts/Segments";
import { setQuery } from "../routing/place";

const HypervolumeChart = lazy(() => import("./HypervolumeChart"));

interface Props {
  items: HypervolumePoint[] | undefined;
  query: URLSearchParams;
}

/** How the front grew, over trials or over time. */
export function HypervolumePanel({ items, query }: Props) {
  const over = query.get("over") === "time" ? "time" : "trials";
  return (
    <section className="card" aria-labelledby="hypervolume-title">
      <div className="card-head">
        <h2 id="hypervolume-title" title={HYPERVOLUME}>
          Hypervolume
        </h2>
        <Segments
          legend="Hypervolume over"
          name="over"
          value={over}
          choices={[
            ["trials", "over trials"],
            ["time", "over time"],
          ]}
          onChange={(value) => setQuery({ over: value === "trials" ? null : value })}
        />
      </div>
      {!items || items.length < 2 ? (
        <p className="empty chart-small">Two trials make a line.</p>
      ) : (
        <ErrorBoundary>
          <Suspense fallback={<div className="chart-small"><Loading what="the chart" /></div>}>
            <HypervolumeChart items={items} over={over} />
          </Suspense>
          <DataTable
            caption="Hypervolume after each trial"
            head={["Trial", "After", "Hypervolume"]}
            rows={items.map(({ trial, elapsed_s, hypervolume }) => ({
              key: trial,
              cells: [trial, duration(elapsed_s), significant(hypervolume)],
            }))}
          />
        </ErrorBoundary>
      )}
    </section>
  );
}
