import type { Bound } from "../api/types";
import { bytes, exact, macs, milliseconds, percent, points, significant } from "./numbers";

const LABELS: Record<string, string> = {
  accuracy: "accuracy",
  accuracy_drop: "accuracy drop",
  latency_ms: "latency",
  size_bytes: "size",
  packed_size_bytes: "packed size",
  macs: "MACs",
  peak_memory_bytes: "peak memory",
  energy_mj: "energy",
};

/** What the hypervolume is, for whoever points at the word. */
export const HYPERVOLUME = "Share of the box spanned by the reference that the front dominates";

/** A metric's name in the middle of a sentence. */
export const metricLabel = (metric: string): string => LABELS[metric] ?? metric;

/** A metric's name where a sentence or a heading begins. */
export const metricTitle = (metric: string): string => {
  const label = metricLabel(metric);
  return label.charAt(0).toUpperCase() + label.slice(1);
};

/** What "4×" means for a cost, beside the reference. */
export const gainOf = (metric: string): string =>
  metric === "latency_ms" ? "as fast" : metric === "macs" ? "fewer" : metric === "energy_mj" ? "less" : "smaller";

/** A value of a metric with its unit. */
export function quantity(metric: string, value: number): string {
  switch (metric) {
    case "accuracy":
      return percent(value);
    case "accuracy_drop":
      return `${points(value)} points`;
    case "latency_ms":
      return milliseconds(value);
    case "size_bytes":
    case "packed_size_bytes":
    case "peak_memory_bytes":
      return bytes(value);
    case "macs":
      return macs(value);
    case "energy_mj":
      return `${significant(value)} mJ`;
    default:
      return significant(value);
  }
}

/** From one value to another, the unit said once where both have the same: 96.1 to 98.5 %. */
export function span(metric: string, low: number, high: number): string {
  const [from, to] = [quantity(metric, low), quantity(metric, high)];
  const unit = to.slice(to.lastIndexOf(" "));
  return `${from.endsWith(unit) ? from.slice(0, -unit.length) : from} to ${to}`;
}

/** How far a constraint was exceeded. A difference of accuracies is in points, not in per cent. */
export function excess(metric: string, value: number): string {
  return `${metricLabel(metric)} by ${quantity(metric === "accuracy" ? "accuracy_drop" : metric, value)}`;
}

/** A constraint as the job states it: latency ≤ 5 ms. */
export function constraint(metric: string, bound: Bound): string {
  const parts: string[] = [];
  if (bound.min != null) parts.push(`≥ ${limit(metric, bound.min)}`);
  if (bound.max != null) parts.push(`≤ ${limit(metric, bound.max)}`);
  return `${metricLabel(metric)} ${parts.join(" and ")}`;
}

const limit = (metric: string, value: number): string =>
  exact(quantity(metric, value)).replace(/^1 points$/, "1 point");
