import { expect, test } from "vitest";
import { jobChoices, recipeFormats, type OpenApi } from "../src/api/openapi";
import { arranged } from "../src/jobs/order";
import { spaceSize } from "../src/newjob/CostPreview";
import { bitsLabel, bitsOf, bodyOf, draftOf, EMPTY, faultsAt, withLayer, withPart } from "../src/newjob/draft";
import { describe as describeEvent } from "../src/progress/EventLog";
import { remaining } from "../src/progress/eta";
import type { Profile } from "../src/api/types";
import { sensitivities } from "../src/sensitivity/bars";
import { job, trial } from "./samples";

test("a duplicated job asks for the same again", () => {
  const { spec } = job();
  expect(bodyOf(draftOf({ ...spec, priority: 5 } as typeof spec))).toMatchObject({
    priority: 5,
    workload: "digits-cnn",
    objectives: spec.objectives,
    constraints: spec.constraints,
    sampler: "tpe",
    budget: { trials: 40 },
    seed: 0,
  });
});

test("a search like a job that scored another's trials asks for no trials of another's", () => {
  const { spec } = job();
  const body = bodyOf(draftOf({ ...spec, fidelity: "ladder", source: { job: "j0", target: "local-cpu" } }));
  expect(body).toMatchObject({ workload: "digits-cnn", fidelity: "ladder" });
  expect(body).not.toHaveProperty("source");
});

test("what is left empty is left to the service", () => {
  expect(bodyOf(EMPTY)).toBeNull();
  const body = bodyOf({ ...EMPTY, workload: "w", trials: null, seed: null, constraints: { macs: { max: null } } });
  expect(body).toEqual({
    workload: "w",
    target: "local-cpu",
    objectives: EMPTY.objectives,
    constraints: {},
    runner: "local",
    budget: {},
  });
});

test("a fault belongs to its field and to the one around it", () => {
  const faults = [{ pointer: "/budget/trials", detail: "too many" }, { pointer: "/budgets", detail: "no field" }];
  expect(faultsAt(faults, "/budget")).toEqual([faults[0]]);
  expect(faultsAt(faults, "/budget/trials")).toEqual([faults[0]]);
  expect(faultsAt(faults, "/seed")).toEqual([]);
});

test("a target's kernels are the formats on offer, each once", () => {
  const kernel = { op: "conv", weight_bits: 8, activation_bits: 8, mode: "static", executed_as: "int8" };
  const offered = bitsOf([kernel, { ...kernel, op: "linear" }, { ...kernel, weight_bits: 4, activation_bits: 32, mode: "none" }]);
  expect(offered.map(bitsLabel)).toEqual(["float", "W8 A8 static", "W4 alone"]);
});

test("exceptions come and go, and an empty space is none", () => {
  const kept = withLayer(null, "head", "keep");
  expect(kept).toEqual({ layers: { head: "keep" } });
  expect(withLayer(kept, "head", null)).toBeNull();
  expect(withPart({ bits: [], other: 1 }, "bits", undefined)).toEqual({ other: 1 });
});

test("a large space is a power of ten", () => {
  expect(spaceSize("8400000")).toBe("8,400,000");
  expect(spaceSize("12345678901")).toBe("about 1.2 × 10¹⁰");
  expect(spaceSize(null)).toContain("once a worker");
});

test("jobs are found by every word and put in order", () => {
  const jobs = [
    job({ id: "a", created_at: "2026-01-01T00:00:00Z" }),
    job({ id: "b", created_at: "2026-01-03T00:00:00Z", state: "failed", reason: "out of memory" }),
    job({ id: "c", created_at: "2026-01-02T00:00:00Z", progress: { ...job().progress, hypervolume: 0.9 } }),
  ];
  const ids = (text: string, order: Parameters<typeof arranged>[2]) => arranged(jobs, text, order).map(({ id }) => id);
  expect(ids("", "newest")).toEqual(["b", "c", "a"]);
  expect(ids("", "oldest")).toEqual(["a", "c", "b"]);
  expect(ids("", "hypervolume")).toEqual(["c", "b", "a"]);
  expect(ids("digits memory", "newest")).toEqual(["b"]);
});

test("the time left spreads as trials differ, and is exact where they do not", () => {
  const even = Array.from({ length: 10 }, (_, number) => trial(number, 0.9, 1, 1, { seconds: 4 }));
  expect(remaining(job(), even)).toEqual({ seconds: 120, low: 120, high: 120 });
  const uneven = even.map((t, index) => ({ ...t, seconds: index % 2 ? 2 : 6 }));
  const left = remaining(job(), uneven);
  // 30 more of variance 40/9, and their estimated mean: 1.96 sqrt(40/9 (30 + 900/10))
  expect(left?.high).toBeCloseTo(120 + 1.96 * Math.sqrt((40 / 9) * 120));
  expect(left?.low).toBeCloseTo(120 - 1.96 * Math.sqrt((40 / 9) * 120));
  expect(remaining(job({ state: "paused" }), even)).toBeNull();
});

test("events are told in words", () => {
  const event = (kind: string, data: Record<string, unknown>) => describeEvent({ seq: 1, at: "", kind, data });
  expect(event("trial.finished", { trial: 3, state: "infeasible", reason: "runs as float32" })).toBe("Trial 3 is infeasible: runs as float32");
  expect(event("job.state", { state: "running", reason: null })).toBe("The job is running");
  expect(event("something.new", {})).toBe("something.new");
});

test("menus come from the service's own description", () => {
  const api: OpenApi = {
    paths: { "/api/v1/jobs/{job_id}/recipe": { get: { parameters: [{ name: "format", schema: { enum: ["tauten", "olive"] } }] } } },
    components: { schemas: { JobIn: { properties: { sampler: { enum: ["tpe", "random"] }, objectives: { items: { enum: ["macs"] } } } } } },
  };
  expect(recipeFormats(api)).toEqual(["tauten", "olive"]);
  expect(recipeFormats(undefined)).toEqual(["tauten"]);
  expect(jobChoices(api, "sampler")).toEqual(["tpe", "random"]);
  expect(jobChoices(api, "objectives")).toEqual(["macs"]);
  expect(jobChoices(api, "target")).toEqual([]);
});

test("the most sensitive layer comes first, and what improves the loss is noise", () => {
  const profile: Profile = {
    kind: "small",
    seconds: 3,
    students: [{ student: null, base_loss: 0.1, ratios: { a: [0, 0.2, 0.5], b: [0, -0.1] }, bits: { a: [0, 0.1], c: [0, 2] } }],
  };
  expect(sensitivities(profile)).toEqual([
    { layer: "c", bits: 2, prune: null },
    { layer: "a", bits: 0.1, prune: 0.5 },
    { layer: "b", bits: null, prune: 0 },
  ]);
  expect(sensitivities({ ...profile, students: [] })).toEqual([]);
});
