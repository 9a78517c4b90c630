import type { Drawn } from "./drawn";

/** What an axis spans, and where its ticks stand. */
export interface Scale {
  min: number;
  max: number;
  ticks: number[];
  isLog: boolean;
}

const LOG_FROM_RATIO = 2.5;
const PADDING = 0.06;
/** How many times the allowed drop the chart shows at first. */
const DROPS_SHOWN = 5;

/** Costs are compared as ratios, so their axis is logarithmic unless they hardly differ, or somebody says otherwise. */
export function costScale(values: number[], isLog: boolean | null = null): Scale {
  const [low, high] = ends(values);
  const fits = low > 0 && high > low;
  if (!fits || !(isLog ?? high / low >= LOG_FROM_RATIO)) return linear(low, high, Number.POSITIVE_INFINITY);
  const pad = (high / low) ** PADDING;
  const [min, max] = [low / pad, high * pad];
  return { min, max, ticks: decadeTicks(min, max), isLog: true };
}

/** An accuracy never passes 1, and no tick says so. */
export const accuracyScale = (low: number, high: number): Scale => linear(low, high, 1);

/** The smallest and the largest; a spread of arguments would overflow the stack with a hundred thousand. */
export function ends(values: number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/**
 * Where the accuracy axis begins when it shows what matters. One ruined trial at 10 % would press all others
 * into a line, so the axis ends some allowed drops below the reference, or below the front without a limit.
 */
export function focusFloor(front: Drawn[], reference: Drawn | null, limit: number | undefined): number {
  const allowed = reference && limit !== undefined ? reference.y.value - limit : 0;
  if (reference && allowed > 0) return reference.y.value - DROPS_SHOWN * allowed;
  return ends(front.map(({ y }) => y.low))[0];
}

function linear(low: number, high: number, ceiling: number): Scale {
  const span = high - low || Math.abs(high) * 0.1 || 1;
  const [min, max] = [low - span * PADDING, high + span * PADDING];
  const step = niceStep((max - min) / 5);
  const ticks: number[] = [];
  for (let index = Math.ceil(min / step); index * step <= Math.min(max, ceiling) + step * 1e-9; index += 1) {
    // Multiplying and rounding keeps 0.985 from becoming 0.9850000000000001.
    ticks.push(Number((index * step).toPrecision(12)));
  }
  return { min, max, ticks, isLog: false };
}

function decadeTicks(min: number, max: number): number[] {
  const ticks: number[] = [];
  const isNarrow = max / min < 4;
  for (let power = Math.floor(Math.log10(min)); 10 ** power <= max; power += 1) {
    for (const factor of isNarrow ? [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8] : [1, 2, 5]) {
      const tick = Number((factor * 10 ** power).toPrecision(12));
      if (tick >= min && tick <= max) ticks.push(tick);
    }
  }
  return ticks;
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= rough) ?? 10;
  return factor * power;
}
