import type { Front, Metrics, Trial } from "../api/types";
import type { Axis } from "../front/axes";
import { type Drawn, drawn } from "../front/drawn";

/** One target's front as it is drawn over another's. */
export interface Side {
  target: string;
  front: Front;
}

export interface Placed extends Drawn {
  trial: Trial;
}

/** In its own unit, or as a multiple of what the uncompressed model takes on the same target. */
export type Unit = "own" | "relative";

/** A front's points, the cheapest first; members without both numbers are left out. */
export function placed({ front }: Side, x: Axis, y: Axis, unit: Unit): Placed[] {
  const scale = unit === "relative" ? 1 / (front.reference.metrics[x]?.value ?? Number.NaN) : 1;
  return front.trials
    .flatMap((trial) => {
      const point = drawn(trial.metrics, x, y);
      if (!point || Number.isNaN(scale)) return [];
      const { value, low, high } = point.x;
      return [{ trial, y: point.y, x: { value: value * scale, low: low * scale, high: high * scale } }];
    })
    .sort((a, b) => a.x.value - b.x.value || b.y.value - a.y.value);
}

/** A trial as both targets have it; `null` where it is not on that target's front. */
export interface Pair {
  number: number;
  here: Metrics | null;
  there: Metrics | null;
}

/** Every member of either front, by number. Trials keep their number when they are scored on another target. */
export function paired(here: Front, there: Front): Pair[] {
  const [first, second] = [here, there].map(({ trials }) => new Map(trials.map((trial) => [trial.trial, trial.metrics])));
  const numbers = new Set([...(first?.keys() ?? []), ...(second?.keys() ?? [])]);
  return [...numbers]
    .sort((a, b) => a - b)
    .map((number) => ({ number, here: first?.get(number) ?? null, there: second?.get(number) ?? null }));
}
