import type { MetricName, Trial } from "../api/types";
import { AXES, type Axis } from "../front/axes";

/** What is brushed: for some metrics, the values from one to another, both ends included. */
export type Ranges = Partial<Record<MetricName, readonly [number, number]>>;

const KEY = "in.";

/** The ranges that the address holds, such as `in.latency_ms=0.1:0.3`. */
export function rangesOf(query: URLSearchParams): Ranges {
  const ranges: Ranges = {};
  for (const axis of AXES) {
    const [low, high, ...rest] = (query.get(KEY + axis) ?? "").split(":").map((part) => (part === "" ? NaN : Number(part)));
    if (rest.length > 0 || low === undefined || high === undefined) continue;
    if (Number.isFinite(low) && Number.isFinite(high) && low <= high) ranges[axis] = [low, high];
  }
  return ranges;
}

/** The parts of the address that hold these ranges, and no others. */
export function queryOf(ranges: Ranges): Record<string, string | null> {
  return Object.fromEntries(
    AXES.map((axis) => {
      const range = ranges[axis];
      return [KEY + axis, range ? range.map(rounded).join(":") : null];
    }),
  );
}

/** Whether a trial lies in every range; one without the number does not. */
export function isInside(trial: Trial, ranges: Ranges): boolean {
  return (Object.entries(ranges) as [Axis, readonly [number, number]][]).every(([axis, [low, high]]) => {
    const value = trial.metrics[axis]?.value;
    return value !== undefined && value >= low && value <= high;
  });
}

export const isEmpty = (ranges: Ranges): boolean => Object.keys(ranges).length === 0;

/** Pixels are far coarser than six digits, and the address stays readable. */
const rounded = (value: number): string => String(Number(value.toPrecision(6)));
