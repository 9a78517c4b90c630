import type { Metrics, Trial } from "../api/types";
import { type Axis, isMaximised } from "./axes";

/** A value with the ends of its interval; both equal the value where it is exact. */
export interface Extent {
  value: number;
  low: number;
  high: number;
}

/** One point of the chart. */
export interface Drawn {
  x: Extent;
  y: Extent;
}

export interface DrawnTrial extends Drawn {
  trial: Trial;
  kind: "front" | "dominated" | "undeployed";
  isWithin: boolean;
  /** The value that the colour stands for, where there is one. */
  hue: number | undefined;
}

/** The trials that have both numbers; the others cannot be placed. */
export function drawnTrials(trials: Trial[], x: Axis, y: Axis, colour: Axis | null): DrawnTrial[] {
  return trials.flatMap((trial) => {
    const point = drawn(trial.metrics, x, y);
    if (!point) return [];
    const kind = trial.on_front ? "front" : trial.state === "completed" ? "dominated" : "undeployed";
    const isWithin = Object.keys(trial.violates).length === 0;
    return [{ ...point, trial, kind, isWithin, hue: colour ? trial.metrics[colour]?.value : undefined }];
  });
}

export function drawn(metrics: Metrics, x: Axis, y: Axis): Drawn | null {
  const [across, up] = [extent(metrics, x), extent(metrics, y)];
  return across && up ? { x: across, y: up } : null;
}

function extent(metrics: Metrics, axis: Axis): Extent | null {
  const metric = metrics[axis];
  if (!metric) return null;
  const { value, low, high } = metric;
  return { value, low: low ?? value, high: high ?? value };
}

/**
 * The front trials that nothing dominates in this projection, best on the x axis first: the corners of the staircase.
 * A front of three objectives has more members than that; they are drawn, but a line through them would zigzag.
 */
export function staircase(points: DrawnTrial[], x: Axis, y: Axis): DrawnTrial[] {
  const [across, up] = [isMaximised(x) ? -1 : 1, isMaximised(y) ? -1 : 1];
  const byCost = points
    .filter(({ kind }) => kind === "front")
    .sort((a, b) => across * (a.x.value - b.x.value) || up * (a.y.value - b.y.value));
  let best = Number.POSITIVE_INFINITY;
  return byCost.filter((point) => {
    if (up * point.y.value >= best) return false;
    best = up * point.y.value;
    return true;
  });
}

/** Points that a browser draws at ease; beyond, those that are not on the front are thinned evenly by number. */
export const DRAWN_AT_MOST = 2_000;

export function thinned(points: DrawnTrial[], isKept: (point: DrawnTrial) => boolean): DrawnTrial[] {
  if (points.length <= DRAWN_AT_MOST) return points;
  const rest = points.filter((point) => !isKept(point));
  const stride = rest.length / Math.max(1, DRAWN_AT_MOST - (points.length - rest.length));
  if (stride <= 1) return points;
  let next = 0;
  let index = -1;
  return points.filter((point) => {
    if (isKept(point)) return true;
    index += 1;
    if (index < next) return false;
    next += stride;
    return true;
  });
}
