import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import type { Front, Job, LayerLatency, Trial } from "../src/api/types";
import { Outcome } from "../src/job/Outcome";
import { CostPreview } from "../src/newjob/CostPreview";
import { HeatMap } from "../src/policy/HeatMap";
import { RecipePanel } from "../src/policy/RecipePanel";
import { paired, placed } from "../src/retarget/overlay";
import { TieTag } from "../src/trials/TieTag";
import { job, metrics, trial } from "./samples";

const front = (trials: Trial[], more: Partial<Front> = {}): Front =>
  ({ trials, reference: { metrics: metrics(0.99, 4, 1_000_000) }, chosen: null, ...more }) as Front;

test("a front over another target's is placed by what the reference takes there", () => {
  const side = { target: "pi", front: front([trial(3, 0.98, 2, 5), trial(1, 0.9, 1, 5), trial(2, 0.5, 1, 5, { metrics: {} })]) };
  expect(placed(side, "latency_ms", "accuracy", "relative").map(({ trial: { trial }, x }) => [trial, x.value])).toEqual([
    [1, 0.25],
    [3, 0.5],
  ]);
  expect(placed(side, "latency_ms", "accuracy", "own").map(({ x }) => x.value)).toEqual([1, 2]);
  const unknown = { target: "pi", front: front([trial(1, 0.9, 1, 5)], { reference: { metrics: {} } }) };
  expect(placed(unknown, "latency_ms", "accuracy", "relative")).toEqual([]);
});

test("trials of either front stand side by side, and one that is missing says so", () => {
  const pairs = paired(front([trial(1, 0.9, 1, 5), trial(7, 0.95, 2, 5)]), front([trial(7, 0.95, 9, 5), trial(4, 0.8, 1, 5)]));
  expect(pairs.map(({ number, here, there }) => [number, here?.latency_ms?.value, there?.latency_ms?.value])).toEqual([
    [1, 1, undefined],
    [4, undefined, 1],
    [7, 2, 9],
  ]);
});

test("a layer's share of latency stands in its row, and the note says how it came about", () => {
  const data = { trial: 0, method: "modelled", shares: { stem: 0.625 }, rest: 0.375, reason: null };
  const policy = { schema: "", student: null, recovery: null, layers: {} };
  const shown = trial(0, 0.9, 1, 1, { policy, executed_as: { stem: "int8" } });
  const answer = (more: object) => more as Parameters<typeof HeatMap>[0]["latency"] & { data?: LayerLatency };
  const { rerender } = render(<HeatMap trial={shown} inventory={null} latency={answer({ data, error: null })} />);
  expect(screen.getByRole("row", { name: /stem/ }).textContent).toContain("62.5 %");
  expect(screen.getByTestId("latency-note").textContent).toContain("modelled from the target's figures; 37.5 %");
  rerender(<HeatMap trial={shown} inventory={null} latency={answer({ data: { ...data, shares: null, reason: "openvino tells no times" }, error: null })} />);
  expect(screen.queryByRole("columnheader", { name: "Latency" })).toBeNull();
  expect(screen.getByText(/not known: openvino tells no times/)).toBeTruthy();
});

test("members of the front within noise of others say of how many", () => {
  const { container, rerender } = render(<TieTag trial={trial(1, 0.9, 1, 1, { tied_with: [4, 9] })} />);
  expect(screen.getByText("within noise of 2").title).toContain("trials 4, 9 is within the intervals");
  rerender(<TieTag trial={trial(1, 0.9, 1, 1, { tied_with: [] })} />);
  expect(container.textContent).toBe("");
});

test("a search that was too hopeful says by how much, and whether the limit holds on other data", () => {
  const optimism = {
    trial: 1, validation: 0.004, again: null, test: 0.013, test_low: 0.001, test_high: 0.02, gap: 0.009, front_gap: 0.002,
    allowed: 0.01, holds: false,
  };
  const found = front([trial(1, 0.986, 1, 1)], { chosen: 1, optimism });
  render(<Outcome job={job({ state: "succeeded" }) as Job} front={found} onSelect={() => undefined} />);
  const text = screen.getByTestId("optimism").textContent;
  expect(text).toContain("it loses 1.30 points (0.10 to 2.00)");
  expect(text).toContain("the search was 0.90 points too hopeful");
  expect(text).toContain("The allowed 1.00 points do not hold there");
});

test("the cost of a job has its profile, its finalists and the job that the times come from", () => {
  const known = { valid: true, space_size: "1234", trial_s: 4, expected_s: 200, profile_s: 0, finalists_s: 90, based_on: "j1" };
  render(<CostPreview validation={known as Parameters<typeof CostPreview>[0]["validation"]} isChecking={false} />);
  const text = screen.getByTestId("cost").textContent;
  expect(text).toContain("Its profileknown already");
  expect(text).toContain("Finalists, at most1 min 30 s");
  expect(screen.getByRole("link", { name: "an earlier job" }).getAttribute("href")).toBe("#/jobs/j1");
});

test("a recipe in another tool's format comes with what that format cannot say", async () => {
  const losses = [{ layer: "stem", part: "prune", lost: "half the channels", remedy: "prune them first" }];
  vi.stubGlobal("fetch", async (url: string) => {
    if (url.endsWith("/openapi.json")) {
      const parameters = [{ name: "format", schema: { enum: ["tauten", "nncf"] } }];
      return Response.json({ paths: { "/api/v1/jobs/{job_id}/recipe": { get: { parameters } } }, components: { schemas: {} } });
    }
    return url.includes("losses=true") ? Response.json({ losses }) : new Response(url.includes("nncf") ? "nncf: 1" : "tauten: 1");
  });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(<QueryClientProvider client={client}><RecipePanel job="j" trial={1} /></QueryClientProvider>);
  fireEvent.change(await screen.findByLabelText("Format"), { target: { value: "nncf" } });
  const report = await screen.findByTestId("losses");
  expect(report.textContent).toContain("What nncf cannot say: 1 part of the policy");
  expect(report.textContent).toContain("stem prune: half the channels; prune them first");
});
