import { lazy, Suspense, useMemo } from "react";
import type { Job, Metrics, Trial } from "../api/types";
import { metricTitle } from "../format/metrics";
import type { Selection } from "../job/selection";
import { ErrorBoundary } from "../parts/ErrorBoundary";
import { Loading } from "../parts/Notice";
import { setQuery } from "../routing/place";
import { X_AXES, xAxisOf } from "./axes";
import { Legend } from "./Legend";
import { sceneOf } from "./scene";
import { Unplaced } from "./Unplaced";

const ParetoChart = lazy(() => import("./ParetoChart"));

interface Props {
  job: Job;
  trials: Trial[];
  reference: Metrics | null;
  chosen: number | null;
  selection: Selection;
  query: URLSearchParams;
}

export function FrontPanel({ job, trials, reference, chosen, selection, query }: Props) {
  const axis = xAxisOf(query, job.spec);
  const isWhole = query.get("range") === "all";
  const selected = selection.trial;
  const scene = useMemo(
    () => sceneOf({ spec: job.spec, trials, reference, axis, chosen, selected, isWhole }),
    [job.spec, trials, reference, axis, chosen, selected, isWhole],
  );

  return (
    <section className="card front" aria-labelledby="front-title">
      <div className="card-head">
        <h2 id="front-title">Pareto front</h2>
        {scene && (scene.canFocus || isWhole) && (
          <label className="field">
            <input
              type="checkbox"
              checked={isWhole}
              onChange={(event) => setQuery({ range: event.target.checked ? "all" : null })}
            />
            Whole range{scene.below > 0 && ` (${scene.below} below)`}
          </label>
        )}
        <label className="field">
          Against
          <select value={axis} onChange={(event) => setQuery({ x: event.target.value })}>
            {X_AXES.map((name) => (
              <option key={name} value={name}>
                {metricTitle(name)}
              </option>
            ))}
          </select>
        </label>
      </div>
      {scene ? (
        <ErrorBoundary>
          <Suspense fallback={<div className="chart"><Loading what="the chart" /></div>}>
            <ParetoChart scene={scene} onSelect={selection.select} />
          </Suspense>
          <Legend />
          <Unplaced trials={scene.unplaced} />
        </ErrorBoundary>
      ) : (
        <p className="empty chart">
          {trials.length === 0
            ? "The first points appear here as soon as the reference is measured."
            : `No trial has both an accuracy and a value for ${metricTitle(axis)} yet.`}
        </p>
      )}
    </section>
  );
}
