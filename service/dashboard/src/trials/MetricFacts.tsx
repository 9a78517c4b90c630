import type { Metric, Metrics, Trial } from "../api/types";
import { gainOf, metricTitle, quantity } from "../format/metrics";
import { count, percent, points, times } from "../format/numbers";
import { accuracyDrop } from "./drop";

interface Props {
  trial: Trial;
  test: Metric | null | undefined;
  reference: Metrics | null;
}

const SHOWN_APART = new Set(["accuracy", "accuracy_drop"]);

/** What a trial scored, each number with how it came about. */
export function MetricFacts({ trial, test, reference }: Props) {
  const { accuracy } = trial.metrics;
  const drop = accuracyDrop(trial, reference);
  const costs = Object.entries(trial.metrics).filter(([name]) => !SHOWN_APART.has(name));
  if (!accuracy && costs.length === 0) return null;
  return (
    <dl className="metrics">
      {accuracy && <AccuracyFact name="Accuracy" metric={accuracy} drop={drop} />}
      {test && <AccuracyFact name="Accuracy, once on test" metric={test} />}
      {costs.map(([name, metric]) => (
        <div key={name}>
          <dt>{metricTitle(name)}</dt>
          <dd title={name.endsWith("bytes") ? `${count(metric.value)} bytes` : undefined}>
            <span className="number">{quantity(name, metric.value)}</span> <Remarks name={name} metric={metric} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function AccuracyFact({ name, metric, drop }: { name: string; metric: Metric; drop?: number | undefined }) {
  const { value, low, high, split, method } = metric;
  const remarks = [
    low != null && high != null && `${percent(low, 1)} to ${percent(high, 1)}`,
    drop !== undefined && `drop ${points(drop)} points`,
    split,
    method !== "measured" && method,
  ];
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <span className="number">{percent(value)}</span>{" "}
        <span className="beside">{remarks.filter(Boolean).join(", ")}</span>
      </dd>
    </div>
  );
}

function Remarks({ name, metric: { speedup, ratio, method, contended } }: { name: string; metric: Metric }) {
  const remarks = [
    speedup != null && `${times(speedup)} as fast`,
    ratio != null && `${times(ratio)} ${gainOf(name)}`,
    method !== "measured" && method,
    contended && "measured on a busy machine",
  ];
  return <span className="beside">{remarks.filter(Boolean).join(", ")}</span>;
}
