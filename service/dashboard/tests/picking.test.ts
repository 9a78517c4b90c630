import { expect, test } from "vitest";
import { fromTyped, toTyped } from "../src/format/units";
import { isInside, queryOf, rangesOf } from "../src/pick/ranges";
import { numbersOf } from "../src/pick/selection";
import { csvOf } from "../src/trials/csv";
import { filtered, filterOf } from "../src/trials/filter";
import { trial } from "./samples";

test("ranges survive the way through the address", () => {
  const ranges = { accuracy: [0.9, 0.99], latency_ms: [0.0123457, 3] } as const;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(queryOf(ranges))) if (value !== null) query.set(name, value);
  expect(rangesOf(new URLSearchParams(query.toString()))).toEqual(ranges);
});

test.each(["in.latency_ms=3", "in.latency_ms=3:1", "in.latency_ms=:2", "in.latency_ms=a:b", "in.latency_ms=1:2:3", "in.nonsense=1:2"])(
  "%s is no range",
  (text) => {
    expect(rangesOf(new URLSearchParams(text))).toEqual({});
  },
);

test("a trial without the number is outside, and both ends are inside", () => {
  expect(isInside(trial(0, 0.9, 1, 1), { latency_ms: [1, 2] })).toBe(true);
  expect(isInside(trial(0, 0.9, 2, 1), { latency_ms: [1, 2] })).toBe(true);
  expect(isInside(trial(0, 0.9, 1, 1), { macs: [0, 1e9] })).toBe(false);
});

test("marked trials are numbers, each once", () => {
  expect(numbersOf("3,17,3,x,-1,,4.5")).toEqual([3, 17]);
});

test("filters work together", () => {
  const trials = [
    trial(0, 0.99, 1, 1, { on_front: true, executed_as: { "stem.0": "int8" } }),
    trial(1, 0.9, 2, 1, { violates: { accuracy_drop: 0.1 }, executed_as: { "stem.0": "float32" } }),
    trial(2, 0.9, 3, 1, { state: "failed", reason: "out of memory", metrics: {} }),
  ];
  const numbers = (query: string, ranges = {}) =>
    filtered(trials, filterOf(new URLSearchParams(query)), ranges).map((found) => found.trial);
  expect(numbers("")).toEqual([0, 1, 2]);
  expect(numbers("show=front")).toEqual([0]);
  expect(numbers("show=within")).toEqual([0]);
  expect(numbers("state=failed")).toEqual([2]);
  expect(numbers("find=INT8")).toEqual([0]);
  expect(numbers("find=stem.0+float32")).toEqual([1]);
  expect(numbers("find=memory")).toEqual([2]);
  expect(numbers("show=picked", { latency_ms: [1.5, 5] })).toEqual([1]);
  expect(numbers("show=nonsense")).toEqual([0, 1, 2]);
});

test("CSV quotes what needs it, and no cell is a formula", () => {
  const lines = csvOf([trial(7, 0.9, 0.5, 10, { reason: '=cmd("x"), then' })]).split("\n");
  expect(lines[0]).toBe(
    "trial,state,origin,on_front,is_knee,accuracy,accuracy_drop,latency_ms,size_bytes,packed_size_bytes," +
      "peak_memory_bytes,macs,energy_mj,speedup,reason",
  );
  expect(lines[1]).toBe(`7,completed,tpe,false,false,0.9,${0.99 - 0.9},0.5,10,,,,,0.8,"'=cmd(""x""), then"`);
});

test("what is typed is what the service gets, in its unit", () => {
  expect(fromTyped("accuracy_drop", "1")).toBe(0.01);
  expect(fromTyped("size_bytes", "74.5")).toBe(74_500);
  expect(fromTyped("latency_ms", "")).toBeNull();
  for (const value of [0.01, 0.035, 0.0999]) expect(fromTyped("accuracy", String(toTyped("accuracy", value)))).toBe(value);
});
