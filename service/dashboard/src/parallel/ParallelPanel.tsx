import { lazy, Suspense, useMemo } from "react";
import type { JobSpec, Trial } from "../api/types";
import { axesOf, axesWithin } from "../front/axes";
import { ErrorBoundary } from "../parts/ErrorBoundary";
import { Loading } from "../parts/Notice";
import type { Selection } from "../pick/selection";

const ParallelChart = lazy(() => import("./ParallelChart"));

interface Props {
  spec: JobSpec;
  trials: Trial[];
  selection: Selection;
  query: URLSearchParams;
}

/** Every trial as a line over all metrics. */
export function ParallelPanel({ spec, trials, selection, query }: Props) {
  const axes = useMemo(() => {
    const present = axesWithin(trials, axesOf(query, spec));
    // A drop is the accuracy again, from the other end.
    return present.filter((axis) => axis !== "accuracy_drop" || !present.includes("accuracy"));
  }, [trials, query, spec]);
  const shown = useMemo(
    () => trials.filter(({ metrics }) => axes.every((axis) => metrics[axis])),
    [trials, axes],
  );
  return (
    <section className="card" aria-labelledby="parallel-title">
      <div className="card-head">
        <h2 id="parallel-title">Parallel coordinates</h2>
        <span className="note">Drag along an axis to pick a range; the best ends are up.</span>
      </div>
      {shown.length === 0 ? (
        <p className="empty chart-small">No trial has all metrics yet.</p>
      ) : (
        <ErrorBoundary>
          <Suspense fallback={<div className="chart-small"><Loading what="the chart" /></div>}>
            <ParallelChart axes={axes} trials={shown} selection={selection} />
          </Suspense>
        </ErrorBoundary>
      )}
    </section>
  );
}
