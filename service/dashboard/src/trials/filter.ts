import type { Trial, TrialState } from "../api/types";
import { isEmpty, isInside, type Ranges } from "../pick/ranges";

/** Which trials the table shows. */
export interface TrialFilter {
  show: "all" | "front" | "within" | "picked";
  state: TrialState | null;
  text: string;
}

const SHOWS: ReadonlySet<string> = new Set(["front", "within", "picked"]);

export function filterOf(query: URLSearchParams): TrialFilter {
  const show = query.get("show") ?? "";
  return {
    show: SHOWS.has(show) ? (show as TrialFilter["show"]) : "all",
    state: (query.get("state") as TrialState | null) ?? null,
    text: query.get("find") ?? "",
  };
}

/** The trials that pass; the text is looked for in number, origin, reason, layers and what they run as. */
export function filtered(trials: Trial[], { show, state, text }: TrialFilter, ranges: Ranges): Trial[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return trials.filter((trial) => {
    if (state && trial.state !== state) return false;
    if (show === "front" && !trial.on_front) return false;
    if (show === "within" && !isWithin(trial)) return false;
    if (show === "picked" && !isEmpty(ranges) && !isInside(trial, ranges)) return false;
    return words.every((word) => searchable(trial).includes(word));
  });
}

/** Completed, and all constraints met. */
const isWithin = (trial: Trial): boolean => trial.state === "completed" && Object.keys(trial.violates).length === 0;

function searchable({ trial, origin, reason, policy, executed_as }: Trial): string {
  const runs = Object.entries(executed_as).map(([layer, kind]) => `${layer} ${kind}`);
  return [`#${trial}`, trial, origin, reason, policy.student?.family, ...Object.keys(policy.layers), ...runs]
    .join(" ")
    .toLowerCase();
}
