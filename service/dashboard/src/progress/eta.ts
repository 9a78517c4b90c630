import type { Job, Trial } from "../api/types";

/** Seconds that a running job still needs, with the ends of a range that holds about 19 times in 20. */
export interface Remaining {
  seconds: number;
  low: number;
  high: number;
}

const COUNTED: ReadonlySet<string> = new Set(["completed", "infeasible", "failed"]);

/** Fewer trials say too little about how much they differ. */
const ENOUGH = 5;

/**
 * From the job's own expectation; its spread from how much the trials so far differ in length. The sum of n more
 * trials varies by their own variance and by that of the mean that was estimated from the m done:
 * n·s² + n²·s²/m. `null` where nothing is known yet, or the job does not run.
 */
export function remaining({ state, progress }: Job, trials: Trial[]): Remaining | null {
  if (state !== "running" || progress.expected_s === null) return null;
  const seconds = Math.max(progress.expected_s - progress.elapsed_s, 0);
  const lengths = trials.filter((trial) => COUNTED.has(trial.state) && trial.seconds > 0).map((trial) => trial.seconds);
  const more = Math.max(progress.trials.total - progress.trials.done, 0);
  if (lengths.length < ENOUGH) return { seconds, low: seconds, high: seconds };
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  const variance = lengths.reduce((sum, length) => sum + (length - mean) ** 2, 0) / (lengths.length - 1);
  const spread = 1.96 * Math.sqrt(variance * (more + more ** 2 / lengths.length));
  return { seconds, low: Math.max(seconds - spread, 0), high: seconds + spread };
}
