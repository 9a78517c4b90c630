import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, test, vi } from "vitest";
import { get } from "../src/api/client";
import { JobsPage } from "../src/jobs/JobsPage";
import { LimitSlider } from "../src/choose/LimitSlider";
import { NewJobPage } from "../src/newjob/NewJobPage";
import { ConnectionBanner } from "../src/parts/ConnectionBanner";
import type { Selection } from "../src/pick/selection";
import { HeatMap } from "../src/policy/HeatMap";
import { TrialTable } from "../src/trials/TrialTable";
import { trial } from "./samples";

const selection = (more: Partial<Selection> = {}): Selection => ({
  trial: null,
  needsScroll: false,
  select: vi.fn(),
  ranges: {},
  brush: vi.fn(),
  clear: vi.fn(),
  marked: new Set(),
  mark: vi.fn(),
  ...more,
});

function withQueries(children: ReactNode) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  return <QueryClientProvider client={client}>{children}</QueryClientProvider>;
}

const answer = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": status < 400 ? "application/json" : "application/problem+json" } });

test("rows of trials sort, select and mark", () => {
  const own = selection({ ranges: { latency_ms: [0, 1.5] } });
  const trials = [trial(0, 0.9, 3, 1), trial(1, 0.99, 1, 1), trial(2, 0.95, 2, 1)];
  render(<TrialTable trials={trials} hidden="seconds" reference={null} chosen={1} selection={own} />);
  const numbers = () => screen.getAllByTestId("trial-row").map((row) => row.dataset["trial"]);
  expect(numbers()).toEqual(["0", "1", "2"]);
  fireEvent.click(screen.getByRole("button", { name: "Latency, speed-up" }));
  expect(numbers()).toEqual(["1", "2", "0"]);
  expect(screen.queryByRole("button", { name: "Evaluated in" })).toBeNull();
  expect(screen.getAllByTestId("trial-row").map((row) => row.dataset["faint"])).toEqual(["false", "true", "true"]);
  fireEvent.click(screen.getByLabelText("Compare trial 2"));
  expect(own.mark).toHaveBeenCalledWith(2, true);
  expect(own.select).not.toHaveBeenCalled();
  fireEvent.click(screen.getAllByTestId("trial-row")[2] as HTMLElement);
  expect(own.select).toHaveBeenCalledWith(0, "table");
});

test("a layer that runs otherwise than asked is seen in the heat-map", () => {
  const policy = { schema: "", student: null, recovery: null, layers: { stem: { weight: { bits: 8 } } } };
  render(<HeatMap trial={trial(0, 0.9, 1, 1, { policy, executed_as: { stem: "float32" } })} inventory={null} />);
  const row = within(screen.getByTestId("heat-map")).getByRole("row", { name: /stem/ });
  expect(within(row).getAllByRole("cell").map((cell) => cell.textContent)).toEqual(["–", "–", "8", "–", "float32"]);
});

test("a slider stands at the limit, says it, and at its right end is none", () => {
  const onChange = vi.fn();
  const front = [trial(0, 0.9, 1, 1), trial(1, 0.95, 2, 1), trial(2, 0.99, 4, 1)];
  render(<LimitSlider axis="latency_ms" front={front} limit={3} onChange={onChange} />);
  const slider = screen.getByRole("slider", { name: "Latency" });
  expect(slider.getAttribute("aria-valuetext")).toBe("≤ 3.00 ms");
  expect((slider as HTMLInputElement).value).toBe("1");
  fireEvent.change(slider, { target: { value: "0" } });
  expect(onChange).toHaveBeenLastCalledWith(1);
  fireEvent.change(slider, { target: { value: "3" } });
  expect(onChange).toHaveBeenLastCalledWith(null);
});

test("the form shows the service's own words beside the field that is wrong, and submits nothing", async () => {
  const sent: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => {
    sent.push(url);
    if (url.endsWith("/jobs/validate")) {
      const errors = [{ pointer: "/budget/trials", detail: "must be from 1 to 100000, not 0" }];
      return answer({ title: "Unprocessable Content", detail: "/budget/trials must be from 1", errors }, 422);
    }
    if (url.endsWith("/workloads")) return answer({ items: [{ name: "digits-cnn", layers: null }] });
    if (url.endsWith("/targets")) return answer({ items: [{ name: "local-cpu", kind: "measured", description: "this host" }] });
    return answer({ paths: {}, components: { schemas: {} } });
  });
  render(withQueries(<NewJobPage query={new URLSearchParams()} />));
  const trials = await screen.findByLabelText("Trials");
  fireEvent.change(trials, { target: { value: "0" } });
  await waitFor(() => expect(trials.getAttribute("aria-invalid")).toBe("true"));
  const about = document.getElementById(trials.getAttribute("aria-describedby") ?? "");
  expect(about?.textContent).toContain("must be from 1 to 100000, not 0");
  expect(screen.getByRole("button", { name: "Submit the job" })).toHaveProperty("disabled", true);
  // The page stands under a path prefix, and so does the interface.
  expect(sent.every((url) => url.startsWith("http://localhost/prefix/"))).toBe(true);
});

test("without jobs the list says how to get one, under the address of this very service", async () => {
  vi.stubGlobal("fetch", async () => answer({ items: [], next_cursor: null }));
  render(withQueries(<JobsPage query={new URLSearchParams()} />));
  expect(await screen.findByText("No jobs yet")).toBeTruthy();
  expect(screen.getByText("tauten demo")).toBeTruthy();
  expect(screen.getByText(/^curl /).textContent).toContain("curl http://localhost/prefix/api/v1/jobs ");
});

test("a list that the filters empty says so", async () => {
  vi.stubGlobal("fetch", async () => answer({ items: [], next_cursor: null }));
  render(withQueries(<JobsPage query={new URLSearchParams("state=failed")} />));
  expect(await screen.findByText(/No job passes these filters/)).toBeTruthy();
});

test("a lost connection is said, and forgotten with the next answer", async () => {
  render(withQueries(<ConnectionBanner />));
  expect(screen.getByTestId("connection").textContent).toBe("");
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("Failed to fetch")));
  await act(async () => {
    await expect(get("http://localhost/prefix/healthz")).rejects.toThrow("tauten serve");
  });
  expect(screen.getByTestId("connection").textContent).toContain("The service does not answer");
  vi.stubGlobal("fetch", async () => answer({}));
  await act(async () => {
    await get("http://localhost/prefix/healthz");
  });
  expect(screen.getByTestId("connection").textContent).toBe("");
});
