import type { Metrics, Trial } from "../api/types";
import type { XAxis } from "./axes";

/** One point of the chart. */
export interface Drawn {
  x: number;
  y: number;
  /** Ends of the accuracy's interval; equal to `y` where it is exact. */
  low: number;
  high: number;
}

export interface DrawnTrial extends Drawn {
  trial: Trial;
  kind: "front" | "dominated" | "undeployed";
  isWithin: boolean;
}

/** The trials that have both numbers; the others cannot be placed. */
export function drawnTrials(trials: Trial[], axis: XAxis): DrawnTrial[] {
  return trials.flatMap((trial) => {
    const point = drawn(trial.metrics, axis);
    if (!point) return [];
    const kind = trial.on_front ? "front" : trial.state === "completed" ? "dominated" : "undeployed";
    return [{ ...point, trial, kind, isWithin: Object.keys(trial.violates).length === 0 }];
  });
}

export function drawn(metrics: Metrics, axis: XAxis): Drawn | null {
  const { accuracy, [axis]: cost } = metrics;
  if (!accuracy || !cost) return null;
  const { value: y, low, high } = accuracy;
  return { x: cost.value, y, low: low ?? y, high: high ?? y };
}

/**
 * The front trials that nothing dominates in this projection, cheapest first: the corners of the staircase.
 * A front of three objectives has more members than that; they are drawn, but a line through them would zigzag.
 */
export function staircase(points: DrawnTrial[]): DrawnTrial[] {
  const byCost = points.filter(({ kind }) => kind === "front").sort((a, b) => a.x - b.x || b.y - a.y);
  let best = Number.NEGATIVE_INFINITY;
  return byCost.filter(({ y }) => {
    if (y <= best) return false;
    best = y;
    return true;
  });
}
