/** The unit that a person types a metric in, and how many of the API's units it holds. */
export interface Unit {
  name: string;
  size: number;
  /** A sensible step of a number field. */
  step: number;
}

const UNITS: Record<string, Unit> = {
  accuracy: { name: "%", size: 0.01, step: 0.1 },
  accuracy_drop: { name: "points", size: 0.01, step: 0.1 },
  latency_ms: { name: "ms", size: 1, step: 0.001 },
  size_bytes: { name: "KB", size: 1_000, step: 1 },
  packed_size_bytes: { name: "KB", size: 1_000, step: 1 },
  macs: { name: "million", size: 1_000_000, step: 0.1 },
  peak_memory_bytes: { name: "KB", size: 1_000, step: 1 },
  energy_mj: { name: "mJ", size: 1, step: 0.01 },
};

export const unitOf = (metric: string): Unit => UNITS[metric] ?? { name: "", size: 1, step: 0.01 };

/** The API's value in the unit that is typed; digits that only binary fractions have are dropped. */
export const toTyped = (metric: string, value: number): number => Number((value / unitOf(metric).size).toPrecision(8));

/** What was typed, in the API's unit; `null` of an empty field. */
export function fromTyped(metric: string, text: string): number | null {
  if (text.trim() === "") return null;
  const value = Number(text) * unitOf(metric).size;
  return Number.isFinite(value) ? Number(value.toPrecision(12)) : null;
}
