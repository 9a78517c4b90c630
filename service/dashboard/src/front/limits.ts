import type { Bound, Metrics } from "../api/types";
import { constraint } from "../format/metrics";
import type { Axis } from "./axes";

/** The constraints that can be drawn as lines over the chosen axes. */
export interface Limit {
  along: "x" | "y";
  value: number;
  label: string;
}

export function limitsOf(constraints: Record<string, Bound>, x: Axis, y: Axis, reference: Metrics | null): Limit[] {
  return [...along("x", x, constraints, reference), ...along("y", y, constraints, reference)];
}

function along(side: "x" | "y", axis: Axis, constraints: Record<string, Bound>, reference: Metrics | null): Limit[] {
  const limits: Limit[] = [];
  const own = constraints[axis];
  if (own?.max != null) limits.push({ along: side, value: own.max, label: constraint(axis, { max: own.max }) });
  if (own?.min != null) limits.push({ along: side, value: own.min, label: constraint(axis, { min: own.min }) });
  const drop = constraints["accuracy_drop"]?.max;
  // A drop is a limit of the accuracy, as soon as the reference's is known.
  if (axis === "accuracy" && drop != null && reference?.accuracy) {
    const label = constraint("accuracy_drop", { max: drop });
    limits.push({ along: side, value: reference.accuracy.value - drop, label });
  }
  return limits;
}
