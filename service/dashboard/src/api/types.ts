/** What the HTTP API answers; the names are those of the contract, units are in the names. */

export type JobState = "queued" | "running" | "paused" | "cancelling" | "cancelled" | "succeeded" | "failed";

export type TrialState = "waiting" | "running" | "completed" | "gated" | "infeasible" | "failed" | "lost";

export type MetricName =
  | "accuracy"
  | "accuracy_drop"
  | "latency_ms"
  | "size_bytes"
  | "macs"
  | "peak_memory_bytes"
  | "energy_mj";

export interface Metric {
  value: number;
  unit: string;
  method: "measured" | "modelled" | "simulated";
  /** Ends of the 95 % interval; absent for an exact number. */
  low?: number | null;
  high?: number | null;
  split?: string | null;
  /** Reference latency over this one, in the same runtime. */
  speedup?: number | null;
  /** Reference over this; sizes and counts only. */
  ratio?: number | null;
  /** The machine was busy while measuring. */
  contended?: boolean | null;
}

export type Metrics = Partial<Record<MetricName, Metric>>;

export interface Bound {
  max?: number | null;
  min?: number | null;
}

export interface JobSpec {
  workload: string;
  target: string;
  objectives: string[];
  constraints: Record<string, Bound>;
  space: unknown;
  sampler: string;
  budget: { trials: number; wall_s: number | null };
  runner: string;
  seed: number;
}

export interface Progress {
  trials: { done: number; total: number };
  hypervolume: number;
  elapsed_s: number;
  expected_s: number | null;
}

export interface Job {
  id: string;
  state: JobState;
  reason: string | null;
  attempt: number;
  progress: Progress;
  spec: JobSpec;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
}

export interface LayerPolicy {
  prune?: { ratio: number; granularity: string; criterion: string } | null;
  weight?: { bits: number; granularity?: string; group_size?: number | null; symmetric?: boolean } | null;
  activation?: { bits: number; mode?: string } | null;
}

export interface Student {
  family: string;
  depth: number;
  width: number;
}

export interface Recovery {
  epochs: number;
  qat: boolean;
  distill: { temperature: number; alpha: number; features: string } | null;
}

export interface Policy {
  schema: string;
  student: Student | null;
  layers: Record<string, LayerPolicy>;
  recovery: Recovery | null;
}

export interface Trial {
  trial: number;
  state: TrialState;
  reason: string | null;
  origin: string;
  fidelity: number;
  policy_digest: string;
  policy: Policy;
  metrics: Metrics;
  executed_as: Record<string, string>;
  artifact: { digest: string; size_bytes: number } | null;
  /** By how much each broken constraint was exceeded, in the metric's unit. */
  violates: Record<string, number>;
  seconds: number;
  is_knee: boolean;
  on_front: boolean;
  /** Front trials of a finished job only: the one reading of the test split. */
  accuracy_test?: Metric | null;
}

export interface Front {
  job: string;
  objectives: string[];
  method: string | null;
  reference: { metrics: Metrics } | null;
  hypervolume: number;
  chosen: number | null;
  constraint_binding: string | null;
  trials: Trial[];
}

export interface HypervolumePoint {
  trial: number;
  elapsed_s: number;
  hypervolume: number;
}

export interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

/** `application/problem+json` (RFC 9457). */
export interface ProblemDocument {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  errors?: { pointer: string; detail: string }[];
}
