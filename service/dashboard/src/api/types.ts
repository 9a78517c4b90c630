/**
 * What the HTTP API answers. The shapes come from its OpenAPI document (`schema.ts`, made by the build); the parts
 * that the document leaves open, specs and policies, are written out here.
 */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type JobState = Schemas["JobOut"]["state"];
export type TrialState = Schemas["TrialOut"]["state"];
export type Metric = Schemas["MetricOut"];
export type Progress = Schemas["ProgressOut"];
export type HypervolumePoint = Schemas["HypervolumeOut"];
export type JobEvent = Schemas["EventOut"];
export type JobIn = Schemas["JobIn"];
export type LayerLatency = Schemas["LayerLatencyOut"];
export type Validation = Omit<Schemas["ValidationOut"], "spec"> & { spec: JobSpec };

export type MetricName =
  | "accuracy"
  | "accuracy_drop"
  | "latency_ms"
  | "size_bytes"
  | "packed_size_bytes"
  | "macs"
  | "peak_memory_bytes"
  | "energy_mj";

export type Metrics = Partial<Record<MetricName, Metric>>;

export interface Bound {
  max?: number | null;
  min?: number | null;
}

export interface BitsChoice {
  weight: number;
  activation: number;
  mode?: string;
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

/** The choices offered to a search. Fields that a form does not know are kept as they are. */
export interface Space {
  students?: (Student | null)[];
  prune?: { ratios?: number[]; granularity?: string[]; criterion?: string; [other: string]: unknown };
  bits?: BitsChoice[];
  recovery?: (Recovery | null)[];
  layers?: Record<string, unknown>;
  [other: string]: unknown;
}

export interface JobSpec {
  workload: string;
  target: string;
  objectives: string[];
  constraints: Record<string, Bound>;
  space: Space | null;
  sampler: string;
  budget: { trials: number; wall_s: number | null };
  runner: string;
  seed: number;
  profile?: string;
  fidelity?: string;
  /** Whose trials are scored, where nothing is searched. */
  source?: unknown;
}

/** What a search's choice is worth on the test split; fractions of accuracy. */
export type Optimism = Schemas["OptimismOut"];

export type Job = Omit<Schemas["JobOut"], "spec"> & { spec: JobSpec };

export interface LayerPolicy {
  prune?: { ratio: number; granularity: string; criterion: string } | null;
  weight?: { bits: number; granularity?: string; group_size?: number | null; symmetric?: boolean } | null;
  activation?: { bits: number; mode?: string } | null;
}

export interface Policy {
  schema: string;
  student: Student | null;
  layers: Record<string, LayerPolicy>;
  recovery: Recovery | null;
}

export type Trial = Omit<Schemas["TrialOut"], "policy" | "metrics"> & { policy: Policy; metrics: Metrics };

export type Front = Omit<Schemas["FrontOut"], "trials" | "reference"> & {
  reference: { metrics: Metrics; accuracy_test?: Metric | null };
  trials: Trial[];
};

export interface Layer {
  name: string;
  op: string;
  weight_shape: number[];
  macs: number;
  parameters: number;
}

export type Workload = Omit<Schemas["WorkloadOut"], "layers"> & { layers: Layer[] | null };

export interface Kernel {
  op: string;
  weight_bits: number;
  activation_bits: number;
  mode: string;
  executed_as: string;
}

/** A target's declaration. Kinds differ in what they declare, so all but the first fields are optional. */
export interface Target {
  name: string;
  kind: string;
  description: string;
  runtime?: { backend?: string };
  workload?: { batch?: number; threads?: number };
  channel_multiple?: number;
  kernels?: Kernel[];
  sources?: Record<string, { kind: string; source: string }>;
  [other: string]: unknown;
}

/** What follows are resources that a service may have or not; the page looks into its OpenAPI document first. */
export interface Worker {
  id: string;
  name: string;
  host: string;
  state: "idle" | "busy" | "silent" | "stopped";
  /** Targets whose jobs it takes; empty for all. */
  offers: string[];
  job: string | null;
  started_at: string;
  seen_at: string;
}

export interface Session {
  needs_key: boolean;
  scope: "read" | "write" | "admin" | null;
  name: string | null;
}

export interface Key {
  id: string;
  name: string;
  scope: "read" | "write" | "admin";
  created_at: string;
  revoked_at: string | null;
}

/** How the loss reacts to each choice, by layer; lists go over the choices of the job's space. */
export interface Profile {
  kind: string;
  seconds: number;
  students: {
    student: Student | null;
    base_loss: number;
    ratios: Record<string, number[]>;
    bits: Record<string, number[]>;
  }[];
}

export interface Page<Item> {
  items: Item[];
  next_cursor?: string | null;
}

/** `application/problem+json` (RFC 9457). */
export interface ProblemDocument {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  errors?: { pointer: string; detail: string }[];
}
