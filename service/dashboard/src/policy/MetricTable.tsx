import type { Metric, Metrics, Trial } from "../api/types";
import { gainOf, metricTitle, quantity, span } from "../format/metrics";
import { points, times } from "../format/numbers";
import { AXES } from "../front/axes";

interface Props {
  trial: Trial;
  reference: Metrics | null;
  test: Metric | null | undefined;
  referenceTest: Metric | null | undefined;
}

/** Every number of a trial with its interval and origin, beside the reference's. */
export function MetricTable({ trial, reference, test, referenceTest }: Props) {
  const names = AXES.filter((name) => trial.metrics[name]);
  if (names.length === 0) return <p className="empty">It has no metrics.</p>;
  return (
    <div className="scroll-x">
      <table data-testid="metric-table">
        <caption className="unseen">Metrics with their intervals, and the reference</caption>
        <thead>
          <tr>
            <th scope="col">Metric</th>
            <th scope="col" className="number">Value</th>
            <th scope="col" className="number">95 % interval</th>
            <th scope="col" className="number">Reference</th>
            <th scope="col" className="number">Gain</th>
            <th scope="col">Origin</th>
          </tr>
        </thead>
        <tbody>
          {names.map((name) => (
            <Line key={name} name={name} label={metricTitle(name)} metric={trial.metrics[name] as Metric} reference={reference?.[name]} />
          ))}
          {test && <Line name="accuracy" label="Accuracy, once on test" metric={test} reference={referenceTest ?? undefined} />}
        </tbody>
      </table>
    </div>
  );
}

interface LineProps {
  name: string;
  label: string;
  metric: Metric;
  reference: Metric | undefined;
}

function Line({ name, label, metric, reference }: LineProps) {
  const { value, low, high, method, split, contended } = metric;
  return (
    <tr>
      <th scope="row">{label}</th>
      <td className="number">
        <strong>{quantity(name, value)}</strong>
      </td>
      <td className="number">
        {low != null && high != null ? span(name, low, high) : "exact"}
      </td>
      <td className="number">{reference && name !== "accuracy_drop" ? quantity(name, reference.value) : "–"}</td>
      <td className="number">{gain(name, metric, reference)}</td>
      <td>{[method, split, contended && "on a busy machine"].filter(Boolean).join(", ")}</td>
    </tr>
  );
}

function gain(name: string, { value, speedup, ratio }: Metric, reference: Metric | undefined): string {
  const factor = speedup ?? ratio;
  if (factor != null) return `${times(factor)} ${gainOf(name)}`;
  if (name !== "accuracy" || !reference) return "–";
  const lost = reference.value - value;
  return lost > 0 ? `${points(lost)} points lost` : lost < 0 ? `${points(-lost)} points won` : "none lost";
}
