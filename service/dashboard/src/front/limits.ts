import type { JobSpec, Metrics } from "../api/types";
import { constraint } from "../format/metrics";
import type { XAxis } from "./axes";

/** The constraints that can be drawn as lines over the chosen axes. */
export interface Limit {
  along: "x" | "y";
  value: number;
  label: string;
}

export function limitsOf(spec: JobSpec, axis: XAxis, reference: Metrics | null): Limit[] {
  const limits: Limit[] = [];
  const { accuracy, accuracy_drop, [axis]: cost } = spec.constraints;
  if (accuracy_drop?.max != null && reference?.accuracy) {
    const label = constraint("accuracy_drop", { max: accuracy_drop.max });
    limits.push({ along: "y", value: reference.accuracy.value - accuracy_drop.max, label });
  }
  if (accuracy?.min != null) {
    limits.push({ along: "y", value: accuracy.min, label: constraint("accuracy", { min: accuracy.min }) });
  }
  if (cost?.max != null) {
    limits.push({ along: "x", value: cost.max, label: constraint(axis, { max: cost.max }) });
  }
  return limits;
}
