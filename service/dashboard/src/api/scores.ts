import { csvParseRows } from "d3-dsv";
import type { Bound, Metric, MetricName, Metrics, Trial, TrialState } from "./types";

/** Metrics of the service's CSV, with their units. */
const UNITS: Partial<Record<MetricName, string>> = {
  accuracy: "fraction",
  accuracy_drop: "fraction",
  latency_ms: "ms",
  size_bytes: "byte",
  packed_size_bytes: "byte",
  macs: "mac",
  peak_memory_bytes: "byte",
  energy_mj: "mJ",
};

/**
 * Trials from the service's CSV file, which has all numbers of a job in a fraction of the bytes of the documents. What
 * the file leaves out is empty: the policy, the deployed layers and the artifact, which are read trial by trial.
 */
export function trialsFromCsv(text: string, violations: (metrics: Metrics) => Record<string, number>): Trial[] {
  const [head = [], ...rows] = csvParseRows(text);
  const at = new Map(head.map((name, index) => [name, index]));
  return rows.map((row) => {
    const cell = (name: string) => row[at.get(name) ?? -1] ?? "";
    const number = (name: string) => (cell(name) === "" ? null : Number(cell(name)));
    const metrics: Metrics = {};
    for (const [name, unit] of Object.entries(UNITS) as [MetricName, string][]) {
      const value = number(name);
      if (value === null) continue;
      const metric: Metric = { value, unit, method: "measured", low: number(`${name}_low`), high: number(`${name}_high`) };
      metrics[name] = { ...metric, speedup: number(`${name}_speedup`), ratio: number(`${name}_ratio`) };
    }
    return {
      trial: Number(cell("trial")),
      state: cell("state") as TrialState,
      reason: cell("reason") || null,
      origin: cell("origin"),
      fidelity: number("fidelity") ?? 1,
      policy_digest: "",
      policy: { schema: "tauten.policy/1", student: null, layers: {}, recovery: null },
      metrics,
      executed_as: {},
      artifact: null,
      violates: cell("state") === "completed" ? violations(metrics) : {},
      seconds: number("seconds") ?? 0,
      is_knee: isTrue(cell("is_knee")),
      on_front: isTrue(cell("on_front")),
    };
  });
}

const isTrue = (text: string): boolean => text.toLowerCase() === "true";

/** How far each bound is exceeded; an unknown value exceeds by infinity. Met ones are left out. */
export function excessOf(metrics: Metrics, bounds: Record<string, Bound>): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [name, { min, max }] of Object.entries(bounds)) {
    const value = metrics[name as MetricName]?.value;
    const above = max == null ? 0 : (value ?? Number.POSITIVE_INFINITY) - max;
    const below = min == null ? 0 : min - (value ?? Number.NEGATIVE_INFINITY);
    const excess = Math.max(above, below);
    // 0.9967 - 0.9867 exceeds 0.01 by 9e-18: rounding of binary fractions breaks no limit
    if (excess > 1e-9 * Math.max(Math.abs(value ?? 0), 1)) found[name] = excess;
  }
  return found;
}
