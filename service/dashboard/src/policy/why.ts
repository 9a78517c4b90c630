import type { Metrics, Trial } from "../api/types";
import { metricLabel, quantity } from "../format/metrics";
import { percent } from "../format/numbers";
import { type Axis, isAxis, isMaximised } from "../front/axes";

/** One sentence on a trial's place among the others. */
export interface Reason {
  /** The other trial that the sentence speaks of, if any. */
  trial: number | null;
  text: string;
}

/**
 * Why somebody would take this point: what it gains and gives up against its neighbours on the front, in the order
 * of the first cost; or what beats it, where it is not on the front.
 */
export function reasonsFor(trial: Trial, front: Trial[], objectives: string[]): Reason[] {
  const axes = objectives.filter(isAxis);
  const place = front.findIndex((member) => member.trial === trial.trial);
  if (place < 0) return beatenBy(trial, front, axes);
  const cost = axes.find((axis) => !isMaximised(axis));
  if (!cost) return [];
  const ordered = front.toSorted((a, b) => value(a, cost) - value(b, cost));
  const at = ordered.findIndex((member) => member.trial === trial.trial);
  const reasons: Reason[] = [];
  const [before, after] = [ordered[at - 1], ordered[at + 1]];
  if (before) reasons.push(against(trial, before, axes));
  else reasons.push({ trial: null, text: `It has the least ${metricLabel(cost)} of the front.` });
  if (after) reasons.push(against(trial, after, axes));
  else reasons.push({ trial: null, text: `It has the most ${metricLabel(cost)} of the front.` });
  return reasons;
}

function beatenBy(trial: Trial, front: Trial[], axes: Axis[]): Reason[] {
  if (axes.some((axis) => trial.metrics[axis] === undefined)) return [];
  const winners = front.filter((member) => axes.every((axis) => gain(member.metrics, trial.metrics, axis) >= 0));
  const winner = winners[0];
  if (!winner) return [];
  const { better } = differences(winner, trial, axes);
  const text = better.length > 0 ? `has ${listed(better)}, and is worse in nothing` : "is as good in everything";
  return [{ trial: winner.trial, text: `It is not on the front: trial ${winner.trial} ${text}.` }];
}

/** What a trial has more and less of than another. */
function against(trial: Trial, other: Trial, axes: Axis[]): Reason {
  const { better, worse } = differences(trial, other, axes);
  const gains = better.length > 0 ? listed(better) : "no gain";
  const costs = worse.length > 0 ? `, for ${listed(worse)}` : "";
  return { trial: other.trial, text: `Against trial ${other.trial}: ${gains}${costs}.` };
}

function differences(trial: Trial, other: Trial, axes: Axis[]): { better: string[]; worse: string[] } {
  const [better, worse]: [string[], string[]] = [[], []];
  for (const axis of axes) {
    const won = gain(trial.metrics, other.metrics, axis);
    const of = other.metrics[axis]?.value ?? 0;
    if (won > 0) better.push(difference(axis, won, of, isMaximised(axis)));
    if (won < 0) worse.push(difference(axis, -won, of, !isMaximised(axis)));
  }
  return { better, worse };
}

/** A difference of accuracies is in points, of costs in their unit and as a share of the other's. */
function difference(axis: Axis, amount: number, of: number, isMore: boolean): string {
  const direction = isMore ? "more" : "less";
  if (axis === "accuracy") return `${quantity("accuracy_drop", amount)} ${direction} ${metricLabel(axis)}`;
  const part = of > 0 ? ` (${percent(amount / of, 0)})` : "";
  return `${quantity(axis, amount)}${part} ${direction} ${metricLabel(axis)}`;
}

/** How much better the first is; negative where it is worse. */
function gain(first: Metrics, second: Metrics, axis: Axis): number {
  const [a, b] = [first[axis]?.value, second[axis]?.value];
  if (a === undefined || b === undefined) return 0;
  return isMaximised(axis) ? a - b : b - a;
}

const value = (trial: Trial, axis: Axis): number => trial.metrics[axis]?.value ?? Number.POSITIVE_INFINITY;

const listed = (parts: string[]): string =>
  parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
