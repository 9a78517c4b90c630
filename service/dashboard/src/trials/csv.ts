import type { Trial } from "../api/types";

const METRICS = [
  "accuracy",
  "accuracy_drop",
  "latency_ms",
  "size_bytes",
  "packed_size_bytes",
  "peak_memory_bytes",
  "macs",
  "energy_mj",
] as const;

/** Trials as CSV with the values that charts and tables show; cells that a spreadsheet would compute are quoted. */
export function csvOf(trials: Trial[]): string {
  const head = ["trial", "state", "origin", "on_front", "is_knee", ...METRICS, "speedup", "reason"];
  const rows = trials.map((trial) => [
    trial.trial,
    trial.state,
    trial.origin,
    trial.on_front,
    trial.is_knee,
    ...METRICS.map((name) => trial.metrics[name]?.value),
    trial.metrics.latency_ms?.speedup,
    trial.reason,
  ]);
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") return String(value);
  const harmless = /^[=+\-@]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
