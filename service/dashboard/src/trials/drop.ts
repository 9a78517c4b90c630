import type { Metrics, Trial } from "../api/types";

/** Reference accuracy minus the trial's, a fraction; negative where the trial is better. */
export function accuracyDrop(trial: Trial, reference: Metrics | null): number | undefined {
  const { accuracy, accuracy_drop } = trial.metrics;
  if (accuracy_drop) return accuracy_drop.value;
  if (accuracy && reference?.accuracy) return reference.accuracy.value - accuracy.value;
  return undefined;
}
