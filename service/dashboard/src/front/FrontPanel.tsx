import { lazy, Suspense, useMemo } from "react";
import type { Job, Metrics, Trial } from "../api/types";
import { metricLabel } from "../format/metrics";
import { ErrorBoundary } from "../parts/ErrorBoundary";
import { Loading } from "../parts/Notice";
import type { Selection } from "../pick/selection";
import { setQuery } from "../routing/place";
import { AxisPickers } from "./AxisPickers";
import { axesOf, axesWithin } from "./axes";
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
  const axes = useMemo(() => axesOf(query, job.spec), [query, job.spec]);
  const isWhole = query.get("range") === "all";
  const { trial: selected, ranges, marked } = selection;
  const { constraints } = job.spec;
  const scene = useMemo(
    () => sceneOf({ constraints, trials, reference, axes, chosen, selected, marked, ranges, isWhole }),
    [constraints, trials, reference, axes, chosen, selected, marked, ranges, isWhole],
  );
  const choices = useMemo(() => axesWithin(trials, axes), [trials, axes]);

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
        <AxisPickers axes={axes} choices={choices} scene={scene} />
      </div>
      {scene ? (
        <ErrorBoundary>
          <Suspense fallback={<div className="chart"><Loading what="the chart" /></div>}>
            <ParetoChart scene={scene} onSelect={selection.select} onBrush={selection.brush} />
          </Suspense>
          <Legend scene={scene} />
          <Unplaced trials={scene.unplaced} />
          {scene.thinnedBy > 0 && (
            <p className="note">
              {scene.thinnedBy} dominated trials are not drawn, so that the chart stays quick; the front is complete.
            </p>
          )}
        </ErrorBoundary>
      ) : (
        <p className="empty chart">
          {trials.length === 0
            ? "The first points appear here as soon as the reference is measured."
            : `No trial has both ${metricLabel(axes.y)} and ${metricLabel(axes.x)} yet.`}
        </p>
      )}
    </section>
  );
}
