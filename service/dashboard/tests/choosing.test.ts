import { expect, test } from "vitest";
import { excessOf, trialsFromCsv } from "../src/api/scores";
import { choose, stops } from "../src/choose/choice";
import { layerText, linesOf } from "../src/compare/differences";
import { bitsHeat, layerRows } from "../src/policy/layers";
import { reasonsFor } from "../src/policy/why";
import { randoms, trial } from "./samples";

const front = [
  trial(0, 0.99, 0.25, 500_000, { on_front: true }),
  trial(1, 0.985, 0.1, 140_000, { on_front: true }),
  trial(4, 0.9, 0.06, 60_000, { on_front: true }),
];

test("the choice is the fastest within the limits", () => {
  expect(choose(front, { accuracy_drop: { max: 0.01 } }, "latency_ms")).toMatchObject({ trial: { trial: 1 }, excess: {} });
  expect(choose(front, {}, "latency_ms")?.trial.trial).toBe(4);
  expect(choose(front, {}, "accuracy")?.trial.trial).toBe(0);
  expect(choose([], {}, "latency_ms")).toBeNull();
});

test("limits that nobody meets name the nearest miss and by how much", () => {
  const choice = choose(front, { accuracy_drop: { max: 0.001 }, latency_ms: { max: 0.2 } }, "latency_ms");
  expect(choice?.trial.trial).toBe(0);
  expect(choice?.excess["latency_ms"]).toBeCloseTo(0.05);
});

test("an unknown value meets no limit", () => {
  expect(excessOf(trial(0, 0.9, 1, 1).metrics, { macs: { max: 5 } })).toEqual({ macs: Number.POSITIVE_INFINITY });
});

test("no trial within the limits is better than the choice, whatever the front", () => {
  const random = randoms(7);
  for (let round = 0; round < 100; round += 1) {
    const trials = Array.from({ length: 12 }, (_, number) => trial(number, 0.9 + random() / 10, random(), 1e5 * random()));
    const limits = { accuracy_drop: { max: random() / 10 }, size_bytes: { max: 1e5 * random() } };
    const within = trials.filter(
      ({ metrics }) =>
        (metrics.accuracy_drop?.value ?? 1) <= limits.accuracy_drop.max && (metrics.size_bytes?.value ?? 1e9) <= limits.size_bytes.max,
    );
    const least = Math.min(...within.map(({ metrics }) => metrics.latency_ms?.value ?? 0));
    const choice = choose(trials, limits, "latency_ms");
    if (within.length > 0) expect(choice?.trial.metrics.latency_ms?.value).toBe(least);
    else expect(Object.keys(choice?.excess ?? {})).not.toHaveLength(0);
  }
});

test("a slider stands at each value of the front once", () => {
  expect(stops([...front, trial(9, 0.9, 0.06, 1)], "latency_ms")).toEqual([0.06, 0.1, 0.25]);
});

test("why this point: what it gains over its neighbours and gives up for it", () => {
  const objectives = ["accuracy", "latency_ms", "size_bytes"];
  expect(reasonsFor(front[1]!, front, objectives).map(({ text }) => text)).toEqual([
    "Against trial 4: 8.50 points more accuracy, for 0.0400 ms (67 %) more latency and 80 KB (133 %) more size.".replace("80 KB", "80.0 KB"),
    "Against trial 0: 0.150 ms (60 %) less latency and 360 KB (72 %) less size, for 0.50 points less accuracy.",
  ]);
  expect(reasonsFor(front[2]!, front, objectives)[0]).toEqual({ trial: null, text: "It has the least latency of the front." });
});

test("a trial off the front hears who beats it", () => {
  const beaten = trial(2, 0.95, 0.3, 600_000);
  const [reason] = reasonsFor(beaten, front, ["accuracy", "latency_ms", "size_bytes"]);
  expect(reason?.trial).toBe(0);
  expect(reason?.text).toContain("It is not on the front: trial 0 has");
  expect(reasonsFor(trial(3, 0, 0, 0, { metrics: {} }), front, ["accuracy", "latency_ms"])).toEqual([]);
});

test("layers come in the order of execution, with their shares of the reference", () => {
  const inventory = [
    { name: "a", op: "conv", weight_shape: [1], macs: 30, parameters: 10 },
    { name: "b", op: "linear", weight_shape: [1], macs: 70, parameters: 30 },
  ];
  const policy = {
    schema: "tauten.policy/1",
    student: null,
    recovery: null,
    layers: { b: { prune: { ratio: 0.5, granularity: "channel", criterion: "l1" }, weight: { bits: 8 } } },
  };
  const rows = layerRows(trial(0, 0.9, 1, 1, { policy, executed_as: { a: "float32", b: "int8" } }), inventory);
  expect(rows.map(({ name, prune, weightBits, executedAs, macsShare }) => [name, prune, weightBits, executedAs, macsShare])).toEqual([
    ["a", null, null, "float32", 0.3],
    ["b", 0.5, 8, "int8", 0.7],
  ]);
  const unread = layerRows(trial(0, 0.9, 1, 1, { policy, executed_as: {} }), inventory);
  expect(unread.map(({ name }) => name)).toEqual(["a", "b"]);
  expect(layerRows(trial(0, 0.9, 1, 1, { policy }), null)[0]?.macsShare).toBeNull();
});

test("heat grows as bits shrink", () => {
  const heats = [32, 16, 8, 4, 2].map(bitsHeat);
  expect(heats).toEqual([0, 0.25, 0.5, 0.75, 1]);
  expect(bitsHeat(null)).toBe(0);
});

test("a comparison says what differs and who is best", () => {
  const int8 = { weight: { bits: 8 }, activation: { bits: 8, mode: "static" } };
  const policy = { schema: "", student: null, recovery: null, layers: { stem: int8, head: int8 } };
  const other = { ...policy, layers: { stem: { ...int8, prune: { ratio: 0.25, granularity: "channel", criterion: "l1" } }, head: int8 } };
  const lines = linesOf([
    trial(0, 0.99, 0.2, 500, { policy, executed_as: { stem: "int8", head: "int8" } }),
    trial(1, 0.98, 0.1, 500, { policy: other, executed_as: { stem: "int8", head: "int8" } }),
  ]);
  const differing = lines.filter(({ differs }) => differs).map(({ name }) => name);
  expect(differing).toEqual(["Accuracy", "Accuracy drop", "Latency", "stem"]);
  expect(lines.find(({ name }) => name === "Accuracy")?.best).toBe(0);
  expect(lines.find(({ name }) => name === "Latency")?.best).toBe(1);
  expect(lines.find(({ name }) => name === "Size")).toMatchObject({ differs: false, best: null });
  expect(lines.find(({ name }) => name === "stem")?.values[1]).toBe("25 % channel pruned, W8 A8 static, runs as int8");
  expect(layerText(undefined, undefined)).toBe("–");
});

test("the service's CSV holds the scores of a large job", () => {
  const text =
    "trial,state,origin,on_front,is_knee,accuracy,accuracy_low,accuracy_high,accuracy_drop,latency_ms,latency_ms_speedup,size_bytes,size_bytes_ratio,reason\n" +
    "0,completed,anchor,True,False,0.98,0.97,0.99,0.02,0.1,4.0,1000,2,\n" +
    '1,infeasible,tpe,False,False,,,,,,,,,"asked int8, runs as float32"\n';
  const [first, second] = trialsFromCsv(text, (metrics) => excessOf(metrics, { accuracy_drop: { max: 0.01 } }));
  expect(first).toMatchObject({ trial: 0, state: "completed", on_front: true, is_knee: false, reason: null });
  expect(first?.metrics.accuracy).toMatchObject({ value: 0.98, low: 0.97, high: 0.99, unit: "fraction" });
  expect(first?.metrics.latency_ms).toMatchObject({ value: 0.1, speedup: 4 });
  expect(first?.violates["accuracy_drop"]).toBeCloseTo(0.01);
  expect(second).toMatchObject({ state: "infeasible", metrics: {}, reason: "asked int8, runs as float32" });
});
