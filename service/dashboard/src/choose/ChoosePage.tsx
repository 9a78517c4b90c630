import { lazy, Suspense, useMemo } from "react";
import { isFinal } from "../api/lifecycle";
import { artifactUrl, recipeUrl, useFront, useJob } from "../api/queries";
import { excessOf } from "../api/scores";
import type { Front, Job } from "../api/types";
import { DataTable } from "../charts/DataTable";
import { excess, metricLabel, metricTitle, quantity } from "../format/metrics";
import { times } from "../format/numbers";
import { AxisPickers } from "../front/AxisPickers";
import { type Axis, AXES, axesOf, isAxis, isMaximised } from "../front/axes";
import { Legend } from "../front/Legend";
import { sceneOf } from "../front/scene";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { href, setQuery } from "../routing/place";
import { type Choice, choose, type Limits } from "./choice";
import { LimitSlider } from "./LimitSlider";

const ParetoChart = lazy(() => import("../front/ParetoChart"));

/** What can be limited; a drop says more than an accuracy. */
const LIMITABLE: readonly Axis[] = AXES.filter((axis) => axis !== "accuracy");

const NOBODY: ReadonlySet<number> = new Set();

/** Sliders for limits that name the best trial of the front at once. */
export function ChoosePage({ id, query }: { id: string; query: URLSearchParams }) {
  const job = useJob(id);
  const front = useFront(id, job.data && !isFinal(job.data.state) ? 2_000 : false);
  const error = job.error ?? front.error;
  return (
    <>
      <p className="crumbs">
        <a href={href(["jobs", id])}>{job.data ? `${job.data.spec.workload} on ${job.data.spec.target}` : `Job ${id}`}</a>
      </p>
      <div className="title-row">
        <Heading title="Choose a point">Choose a point of the front</Heading>
      </div>
      {error && <ProblemNotice error={error} />}
      {!error && !(job.data && front.data) && <Loading what="the front" />}
      {front.data?.trials.length === 0 && <p className="empty">The front has no trial yet.</p>}
      {job.data && front.data && front.data.trials.length > 0 && (
        <Chooser job={job.data} front={front.data} query={query} />
      )}
    </>
  );
}

function Chooser({ job, front, query }: { job: Job; front: Front; query: URLSearchParams }) {
  const axes = LIMITABLE.filter((axis) => front.trials.some(({ metrics }) => metrics[axis]));
  const limits = useMemo(() => limitsOf(query, job, axes), [query, job, axes]);
  const best = bestOf(query, front);
  const choice = useMemo(() => choose(front.trials, limits, best), [front.trials, limits, best]);
  const within = front.trials.filter((trial) => Object.keys(excessOf(trial.metrics, limits)).length === 0).length;
  const choices = AXES.filter((axis) => front.trials.some(({ metrics }) => metrics[axis]));
  const scene = useMemo(
    () =>
      sceneOf({
        axes: axesOf(query, job.spec),
        constraints: limits,
        trials: front.trials.map((trial) => ({ ...trial, is_knee: false, violates: excessOf(trial.metrics, limits) })),
        reference: front.reference.metrics,
        chosen: choice?.trial.trial ?? null,
        selected: choice?.trial.trial ?? null,
        marked: NOBODY,
        ranges: {},
        isWhole: true,
      }),
    [query, job.spec, limits, front, choice],
  );

  return (
    <div className="choose-columns">
      <section className="card sliders" aria-labelledby="limits-title">
        <div className="card-head">
          <h2 id="limits-title">At most</h2>
          <label className="field">
            with the best
            <select value={best} onChange={(event) => setQuery({ best: event.target.value })}>
              {choices.map((axis) => (
                <option key={axis} value={axis}>
                  {metricTitle(axis)}
                </option>
              ))}
            </select>
          </label>
        </div>
        {axes.map((axis) => (
          <LimitSlider
            key={axis}
            axis={axis}
            front={front.trials}
            limit={limits[axis]?.max ?? null}
            onChange={(value) => setQuery({ [`max.${axis}`]: value === null ? "any" : String(value) })}
          />
        ))}
        <p className="note">
          {within} of the front's {front.trials.length} trials lie within. The answer comes from what was found; nothing
          runs again.
        </p>
      </section>
      <div className="choose-result">
        {choice && <Answer job={job} choice={choice} best={best} />}
        {scene && (
          <section className="card front" aria-labelledby="limited-title">
            <div className="card-head">
              <h2 id="limited-title">The front and the limits</h2>
              <AxisPickers axes={scene.axes} choices={choices} scene={scene} />
            </div>
            <Suspense fallback={<div className="chart"><Loading what="the chart" /></div>}>
              <ParetoChart scene={scene} onSelect={ignore} />
            </Suspense>
            <Legend scene={scene} />
            <DataTable
              caption="The front's trials"
              head={["Trial", ...choices.map(metricTitle), "Within"]}
              rows={front.trials.map((trial) => ({
                key: trial.trial,
                cells: [
                  trial.trial,
                  ...choices.map((axis) => quantity(axis, trial.metrics[axis]?.value ?? 0)),
                  Object.keys(excessOf(trial.metrics, limits)).length === 0 ? "yes" : "no",
                ],
              }))}
            />
          </section>
        )}
      </div>
    </div>
  );
}

/** The answer follows the sliders alone. */
const ignore = () => undefined;

function Answer({ job, choice: { trial, excess: missed }, best }: { job: Job; choice: Choice; best: Axis }) {
  const broken = Object.entries(missed);
  const isMissed = broken.length > 0;
  const facts = AXES.filter((axis) => trial.metrics[axis]).map((axis) => {
    const metric = trial.metrics[axis];
    const gain = metric?.speedup ?? metric?.ratio;
    return `${metricLabel(axis)} ${quantity(axis, metric?.value ?? 0)}${gain == null ? "" : ` (${times(gain)})`}`;
  });
  return (
    <section className="outcome" data-tone={isMissed ? "warn" : "good"} aria-label="Choice" aria-live="polite" data-testid="choice" data-trial={trial.trial}>
      <p>
        {isMissed ? "No trial is within these limits; the nearest is " : "Take "}
        <a href={href(["jobs", job.id, "trials", String(trial.trial)])}>trial {trial.trial}</a>
        {!isMissed && `, the ${isMaximised(best) ? "most" : "least"} ${metricLabel(best)} within them`}: {facts.join(", ")}.
        {isMissed && ` It exceeds ${broken.map(([name, value]) => excess(name, value)).join(", ")}.`}
      </p>
      <div className="actions">
        <a className="button" href={recipeUrl(job.id, trial.trial)} download>
          Recipe
        </a>
        {trial.artifact && (
          <a className="button" href={artifactUrl(job.id, trial.trial)} download>
            Artifact
          </a>
        )}
      </div>
    </section>
  );
}

/** The limits that the address holds; where it says nothing about a metric, the job's own constraint. */
function limitsOf(query: URLSearchParams, job: Job, axes: readonly Axis[]): Limits {
  const limits: Limits = {};
  for (const axis of axes) {
    const text = query.get(`max.${axis}`);
    const max = text === null ? (job.spec.constraints[axis]?.max ?? null) : text === "any" || text === "" ? null : Number(text);
    if (max !== null && Number.isFinite(max)) limits[axis] = { max };
  }
  return limits;
}

function bestOf(query: URLSearchParams, front: Front): Axis {
  const named = query.get("best");
  if (isAxis(named)) return named;
  return front.objectives.filter(isAxis).find((axis) => !isMaximised(axis)) ?? "accuracy";
}
