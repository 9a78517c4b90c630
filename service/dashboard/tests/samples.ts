import type { Job, Metric, Metrics, Trial } from "../src/api/types";

export const metric = (value: number, more: Partial<Metric> = {}): Metric => ({
  value,
  unit: "ms",
  method: "measured",
  ...more,
});

/** A completed trial with accuracy, latency and size; more fields as asked. */
export function trial(number: number, accuracy: number, latency: number, size: number, more: Partial<Trial> = {}): Trial {
  return {
    trial: number,
    state: "completed",
    reason: null,
    origin: "tpe",
    fidelity: 1,
    policy_digest: `sha256:${number}`,
    policy: { schema: "tauten.policy/1", student: null, layers: {}, recovery: null },
    metrics: metrics(accuracy, latency, size),
    executed_as: {},
    artifact: null,
    violates: {},
    seconds: 4,
    is_knee: false,
    on_front: false,
    ...more,
  } as Trial;
}

export const metrics = (accuracy: number, latency: number, size: number): Metrics => ({
  accuracy: metric(accuracy, { unit: "fraction", low: accuracy - 0.01, high: accuracy + 0.005 }),
  accuracy_drop: metric(0.99 - accuracy, { unit: "fraction" }),
  latency_ms: metric(latency, { speedup: 0.4 / latency }),
  size_bytes: metric(size, { unit: "byte", ratio: 1_800_000 / size }),
});

export function job(more: Partial<Job> = {}): Job {
  return {
    id: "job1",
    state: "running",
    reason: null,
    attempt: 1,
    progress: { trials: { done: 10, total: 40 }, hypervolume: 0.5, elapsed_s: 40, expected_s: 160 },
    spec: {
      workload: "digits-cnn",
      target: "local-cpu",
      objectives: ["accuracy", "latency_ms", "size_bytes"],
      constraints: { accuracy_drop: { max: 0.01 } },
      space: null,
      sampler: "tpe",
      budget: { trials: 40, wall_s: null },
      runner: "local",
      seed: 0,
    },
    created_at: "2026-01-01T00:00:00Z",
    started_at: "2026-01-01T00:00:00Z",
    ended_at: null,
    ...more,
    // A newer service says more of a job; no page needs it.
  } as Job;
}

/** Numbers from 0 to 1 that are the same each time (a linear congruential generator, Park and Miller 1988). */
export function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}
