import { expect, test } from "vitest";
import type { Trial } from "../src/api/types";
import { axesOf, axesWithin, isMaximised } from "../src/front/axes";
import { DRAWN_AT_MOST, drawnTrials, staircase, thinned } from "../src/front/drawn";
import { limitsOf } from "../src/front/limits";
import { rampOf } from "../src/front/ramp";
import { accuracyScale, costScale } from "../src/front/scale";
import { sceneOf, type SceneRequest } from "../src/front/scene";
import { job, metrics, randoms, trial } from "./samples";

const { spec } = job();
const NOBODY: ReadonlySet<number> = new Set();

function cloud(count: number, seed = 1): Trial[] {
  const random = randoms(seed);
  return Array.from({ length: count }, (_, number) =>
    trial(number, 0.8 + random() * 0.19, 0.05 + random(), 1e5 + random() * 1e6, { on_front: random() < 0.5 }),
  );
}

const request = (more: Partial<SceneRequest>): SceneRequest => ({
  axes: axesOf(new URLSearchParams(), spec),
  constraints: spec.constraints,
  trials: [],
  reference: null,
  chosen: null,
  selected: null,
  marked: NOBODY,
  ranges: {},
  isWhole: false,
  ...more,
});

test("axes come from the objectives unless the address names others", () => {
  expect(axesOf(new URLSearchParams(), spec)).toMatchObject({ x: "latency_ms", y: "accuracy", colour: "size_bytes" });
  const named = new URLSearchParams("x=size_bytes&y=latency_ms&colour=none&xlog=0");
  expect(axesOf(named, spec)).toEqual({ x: "size_bytes", y: "latency_ms", colour: null, xLog: false, yLog: null });
  expect(axesOf(new URLSearchParams("x=nonsense"), spec).x).toBe("latency_ms");
});

test("only metrics that some trial has are offered", () => {
  const offered = axesWithin([trial(0, 0.9, 1, 1)], axesOf(new URLSearchParams(), spec));
  expect(offered).toEqual(["accuracy", "accuracy_drop", "latency_ms", "size_bytes"]);
});

test.each([
  ["latency_ms", "accuracy"],
  ["accuracy", "latency_ms"],
  ["size_bytes", "latency_ms"],
] as const)("the staircase of %s and %s has just the members that no other beats in both", (x, y) => {
  const points = drawnTrials(cloud(60), x, y, null);
  const front = points.filter(({ kind }) => kind === "front");
  const cost = (axis: string, value: number) => (isMaximised(axis) ? -value : value);
  const unbeaten = front.filter(
    (a) =>
      !front.some(
        (b) =>
          b !== a &&
          cost(x, b.x.value) <= cost(x, a.x.value) &&
          cost(y, b.y.value) <= cost(y, a.y.value) &&
          (b.x.value !== a.x.value || b.y.value !== a.y.value),
      ),
  );
  const found = staircase(points, x, y);
  expect(new Set(found.map(({ trial }) => trial.trial))).toEqual(new Set(unbeaten.map(({ trial }) => trial.trial)));
  expect(found.length).toBeGreaterThan(2);
});

test("too many points are thinned, and the front stays complete", () => {
  const points = drawnTrials(cloud(6 * DRAWN_AT_MOST).map((t, i) => ({ ...t, on_front: i % 40 === 0 })), "latency_ms", "accuracy", null);
  const kept = thinned(points, ({ kind }) => kind === "front");
  expect(kept.length).toBeLessThanOrEqual(DRAWN_AT_MOST);
  expect(kept.length).toBeGreaterThan(DRAWN_AT_MOST * 0.95);
  const front = points.filter(({ kind }) => kind === "front");
  expect(kept.filter(({ kind }) => kind === "front")).toEqual(front);
  expect(thinned(points.slice(0, 50), () => false)).toHaveLength(50);
});

test("a drop is a limit of the accuracy once the reference is known", () => {
  const constraints = { accuracy_drop: { max: 0.01 }, latency_ms: { max: 8 } };
  const limits = limitsOf(constraints, "latency_ms", "accuracy", metrics(0.99, 1, 1));
  expect(limits).toEqual([
    { along: "x", value: 8, label: "latency ≤ 8 ms" },
    { along: "y", value: 0.98, label: "accuracy drop ≤ 1 point" },
  ]);
  expect(limitsOf(constraints, "latency_ms", "accuracy", null)).toHaveLength(1);
});

test("colours go from the first stop to the last, by ratio where values differ much", () => {
  const ramp = rampOf([1, 10, 100], ["#000000", "#808080", "#ffffff"]);
  expect(ramp?.colour(1)).toBe("#000000");
  expect(ramp?.colour(10)).toBe("#808080");
  expect(ramp?.colour(100)).toBe("#ffffff");
  expect(rampOf([], ["#000000", "#ffffff"])).toBeNull();
  expect(rampOf([3, 3], ["#000000", "#ffffff"])?.colour(3)).toBe("#000000");
});

test("a cost axis is logarithmic by itself, and as somebody says", () => {
  expect(costScale([1, 100]).isLog).toBe(true);
  expect(costScale([1, 1.5]).isLog).toBe(false);
  expect(costScale([1, 100], false).isLog).toBe(false);
  expect(costScale([1, 1.5], true).isLog).toBe(true);
  expect(costScale([0, 100], true).isLog).toBe(false);
  for (const scale of [costScale([1, 100]), costScale([1, 1.5]), costScale([3, 3]), accuracyScale(0.9, 1)]) {
    expect(scale.ticks.length).toBeGreaterThan(1);
    expect(scale.ticks.every((tick) => tick >= scale.min && tick <= scale.max)).toBe(true);
  }
});

test("a ruined trial is left out of the focus, and the whole range has it", () => {
  const trials = [...cloud(20).map((t) => ({ ...t, metrics: metrics(0.98, 1, 1e5) })), trial(99, 0.1, 1, 1e5)];
  const focused = sceneOf(request({ trials, reference: metrics(0.99, 2, 2e5) }));
  expect(focused?.below).toBe(1);
  expect(focused?.canFocus).toBe(true);
  expect(focused?.y.min).toBeGreaterThan(0.8);
  const whole = sceneOf(request({ trials, reference: metrics(0.99, 2, 2e5), isWhole: true }));
  expect(whole?.below).toBe(0);
  expect(whole?.y.min).toBeLessThanOrEqual(0.1);
});

test("trials without a number on an axis are told apart, and nothing to place is no scene", () => {
  const gated = trial(1, 0.9, 1, 1, { state: "gated", metrics: {} });
  expect(sceneOf(request({ trials: [trial(0, 0.9, 1, 1), gated] }))?.unplaced).toEqual([gated]);
  expect(sceneOf(request({ trials: [gated] }))).toBeNull();
});

test("a brush picks by any metric, drawn or not", () => {
  const scene = sceneOf(request({ trials: cloud(10), ranges: { size_bytes: [0, 5e5] } }));
  const picked = scene?.points.filter(({ trial }) => scene.isPicked(trial)).map(({ trial }) => trial.metrics.size_bytes?.value ?? 0);
  expect(picked?.length).toBeGreaterThan(0);
  expect(picked?.every((size) => size <= 5e5)).toBe(true);
});
