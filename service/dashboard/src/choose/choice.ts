import { excessOf } from "../api/scores";
import type { Bound, Trial } from "../api/types";
import { type Axis, isMaximised } from "../front/axes";

/** Limits by metric. */
export type Limits = Record<string, Bound>;

/** The trial to take under some limits, or the one that comes nearest to them. */
export interface Choice {
  trial: Trial;
  /** By how much each limit is exceeded; empty where all are met. */
  excess: Record<string, number>;
}

/**
 * The front's trial within all limits that has the least of a metric (the most, of accuracy), the more accurate of
 * equals; else the one that exceeds them least, each excess as a share of its limit. `null` of an empty front.
 */
export function choose(front: Trial[], limits: Limits, best: Axis): Choice | null {
  const rated = front.map((trial) => ({ trial, excess: excessOf(trial.metrics, limits) }));
  const within = rated.filter(({ excess }) => Object.keys(excess).length === 0);
  const cost = ({ trial }: Choice) => sign(best) * (trial.metrics[best]?.value ?? Number.POSITIVE_INFINITY);
  const loss = ({ trial }: Choice) => -(trial.metrics.accuracy?.value ?? 0);
  const miss = ({ excess }: Choice) => Object.entries(excess).reduce((sum, [name, value]) => sum + relative(value, limits[name]), 0);
  const first = within.toSorted((a, b) => cost(a) - cost(b) || loss(a) - loss(b))[0];
  return first ?? rated.toSorted((a, b) => miss(a) - miss(b) || cost(a) - cost(b))[0] ?? null;
}

const sign = (axis: Axis): number => (isMaximised(axis) ? -1 : 1);

const relative = (excess: number, { max, min }: Bound = {}): number => excess / Math.max(Math.abs(max ?? min ?? 1), 1e-6);

/** The places where a slider can stand: the values of the front, each once, in order. */
export function stops(front: Trial[], axis: Axis): number[] {
  const values = front.flatMap(({ metrics }) => metrics[axis]?.value ?? []);
  return [...new Set(values)].sort((a, b) => a - b);
}
