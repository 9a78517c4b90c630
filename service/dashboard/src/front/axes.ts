import type { JobSpec } from "../api/types";

/** The costs that accuracy can be drawn against. */
export const X_AXES = ["latency_ms", "size_bytes", "macs"] as const;

export type XAxis = (typeof X_AXES)[number];

/** The axis that the address names, else the first cost that the job minimises. */
export function xAxisOf(query: URLSearchParams, spec: JobSpec): XAxis {
  const isAxis = (name: string | null): name is XAxis => X_AXES.some((axis) => axis === name);
  const named = query.get("x");
  return isAxis(named) ? named : (spec.objectives.find(isAxis) ?? "latency_ms");
}
