import type { JobState, TrialState, Worker } from "../api/types";

type Tone = "calm" | "active" | "good" | "warn" | "bad";

type State = JobState | TrialState | Worker["state"];

const TONES: Record<State, Tone> = {
  idle: "good",
  busy: "active",
  silent: "bad",
  stopped: "calm",
  queued: "calm",
  waiting: "calm",
  running: "active",
  paused: "warn",
  cancelling: "warn",
  cancelled: "calm",
  succeeded: "good",
  completed: "good",
  gated: "calm",
  infeasible: "warn",
  failed: "bad",
  lost: "warn",
};

/** A state by its name; the colour only repeats what the word says. */
export function StateBadge({ state, testId }: { state: State; testId?: string }) {
  return (
    <span className="badge" data-tone={TONES[state] ?? "calm"} data-state={state} data-testid={testId}>
      {state}
    </span>
  );
}
