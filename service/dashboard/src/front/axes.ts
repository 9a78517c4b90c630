import type { JobSpec, Metric, MetricName, Trial } from "../api/types";

/** Every metric that can be an axis or a colour, in the order of the menus. */
export const AXES = [
  "accuracy",
  "accuracy_drop",
  "latency_ms",
  "size_bytes",
  "packed_size_bytes",
  "macs",
  "peak_memory_bytes",
  "energy_mj",
] as const satisfies readonly MetricName[];

export type Axis = (typeof AXES)[number];

/** What the chart shows, from the address. */
export interface AxisChoice {
  x: Axis;
  y: Axis;
  colour: Axis | null;
  /** `null` leaves it to the values. */
  xLog: boolean | null;
  yLog: boolean | null;
}

export const isAxis = (name: string | null | undefined): name is Axis => AXES.some((axis) => axis === name);

/** Accuracy is the one metric that is maximised. */
export const isMaximised = (axis: string): boolean => axis === "accuracy";

/** What the address names, else the objectives of the job: the first cost against accuracy, the next as colour. */
export function axesOf(query: URLSearchParams, spec: JobSpec): AxisChoice {
  const objectives = spec.objectives.filter(isAxis);
  const named = (key: string) => {
    const name = query.get(key);
    return isAxis(name) ? name : undefined;
  };
  const x = named("x") ?? objectives.find((name) => !isMaximised(name)) ?? "latency_ms";
  const y = named("y") ?? objectives.find((name) => isMaximised(name)) ?? objectives.find((name) => name !== x) ?? "accuracy";
  const free = objectives.find((name) => name !== x && name !== y) ?? null;
  const colour = query.get("colour") === "none" ? null : (named("colour") ?? free);
  return { x, y, colour, xLog: flag(query.get("xlog")), yLog: flag(query.get("ylog")) };
}

/** The metrics that some trial has, so that no menu offers an empty axis. */
export function axesWithin(trials: Trial[], chosen: AxisChoice): Axis[] {
  const present = new Set<string>([chosen.x, chosen.y]);
  for (const { metrics } of trials) for (const name of Object.keys(metrics)) present.add(name);
  return AXES.filter((name) => present.has(name));
}

/** A cost relative to its reference is a gain; which one is better is the axis's own affair. */
export const valueOf = (trial: Trial, axis: Axis): number | undefined => metricOf(trial, axis)?.value;

export const metricOf = (trial: Trial, axis: Axis): Metric | undefined => trial.metrics[axis];

const flag = (text: string | null): boolean | null => (text === "1" ? true : text === "0" ? false : null);
