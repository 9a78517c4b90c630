import { lazy, Suspense, useMemo } from "react";
import type { Job } from "../api/types";
import { metricTitle, quantity } from "../format/metrics";
import { times } from "../format/numbers";
import { type Axis, AXES, isAxis, isMaximised } from "../front/axes";
import { ErrorBoundary } from "../parts/ErrorBoundary";
import { Loading } from "../parts/Notice";
import { Segments } from "../parts/Segments";
import { href, setQuery } from "../routing/place";
import { paired, type Side, type Unit } from "./overlay";

const OverlayChart = lazy(() => import("./OverlayChart"));

interface Props {
  here: Side;
  there: Side;
  job: Job;
  other: Job;
  query: URLSearchParams;
}

/** Two targets' fronts of the same trials: drawn over each other, and side by side in a table. */
export function BothFronts({ here, there, job, other, query }: Props) {
  const costs = AXES.filter(
    (axis) => !isMaximised(axis) && axis !== "accuracy_drop" && here.front.reference.metrics[axis] && there.front.reference.metrics[axis],
  );
  const named = query.get("x");
  const x: Axis = isAxis(named) && costs.includes(named as (typeof costs)[number]) ? named : "latency_ms";
  const unit: Unit = query.get("unit") === "own" ? "own" : "relative";
  const sides = useMemo(() => [here, there], [here, there]);
  const pairs = useMemo(() => paired(here.front, there.front), [here.front, there.front]);
  const both = pairs.filter((pair) => pair.here && pair.there).length;
  return (
    <>
      <section className="outcome" data-tone="calm" aria-label="What changes" data-testid="what-changes">
        <p>
          Of these trials: {choiceOf(here, job)}; {choiceOf(there, other)}. {both} of the {here.front.trials.length} trials on the front of{" "}
          {here.target} are on that of {there.target} too.
        </p>
      </section>
      <section className="card front" aria-labelledby="both-title">
        <div className="card-head">
          <h2 id="both-title">Both fronts</h2>
          <label className="field">
            Across
            <select value={x} onChange={(event) => setQuery({ x: event.target.value })}>
              {costs.map((axis) => (
                <option key={axis} value={axis}>
                  {metricTitle(axis)}
                </option>
              ))}
            </select>
          </label>
          <Segments
            legend="Unit"
            name="unit"
            value={unit}
            choices={[
              ["relative", "Of its reference"],
              ["own", "In its unit"],
            ]}
            onChange={(value) => setQuery({ unit: value === "own" ? "own" : null })}
          />
        </div>
        <ErrorBoundary>
          <Suspense fallback={<div className="chart"><Loading what="the chart" /></div>}>
            <OverlayChart sides={sides} x={x} unit={unit} />
          </Suspense>
        </ErrorBoundary>
        <ul className="legend" aria-label="Signs of the chart">
          <li data-sign="here">{here.target}, {here.front.method}</li>
          <li data-sign="there">{there.target}, {there.front.method}</li>
          <li>larger: chosen there</li>
        </ul>
      </section>
      <section className="card" aria-labelledby="pairs-title">
        <div className="card-head">
          <h2 id="pairs-title">Trials of either front</h2>
        </div>
        <div className="scroll" role="region" aria-label="Trials of either front" tabIndex={0}>
          <table data-testid="pairs">
            <thead>
              <tr>
                <th scope="col">Trial</th>
                {sides.map(({ target }) => (
                  <th key={target} scope="col" className="number">
                    {metricTitle(x)}, {target}
                  </th>
                ))}
                {sides.map(({ target }) => (
                  <th key={target} scope="col" className="number">
                    Accuracy, {target}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {pairs.map(({ number, ...metrics }) => (
                <tr key={number}>
                  <th scope="row">
                    <a href={href(["jobs", job.id, "trials", String(number)])}>{number}</a>
                  </th>
                  {[metrics.here, metrics.there].map((found, index) => (
                    <td key={sides[index]?.target} className="number">
                      {found?.[x] ? quantity(x, found[x].value) : "not on it"}{" "}
                      <span className="beside">{gain(found?.[x]?.speedup ?? found?.[x]?.ratio)}</span>
                    </td>
                  ))}
                  {[metrics.here, metrics.there].map((found, index) => (
                    <td key={sides[index]?.target} className="number">
                      {found?.accuracy ? quantity("accuracy", found.accuracy.value) : "–"}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}

const gain = (factor: number | null | undefined): string => (factor == null ? "" : times(factor));

/** Which trial a target's constraints choose, as the start of a sentence. */
function choiceOf({ target, front }: Side, job: Job) {
  if (front.chosen === null) return <>on {target} ({front.method}) no trial is chosen</>;
  return (
    <>
      on {target} ({front.method}) the choice is{" "}
      <a href={href(["jobs", job.id, "trials", String(front.chosen)])}>trial {front.chosen}</a>
      {!front.constraints_met && ", the nearest miss"}
    </>
  );
}
