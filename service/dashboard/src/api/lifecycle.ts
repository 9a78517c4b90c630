import type { JobAction } from "./queries";
import type { JobState } from "./types";

const FINAL: ReadonlySet<JobState> = new Set(["cancelled", "succeeded", "failed"]);

const ACTIONS: Record<JobState, JobAction[]> = {
  queued: ["cancel"],
  running: ["pause", "cancel"],
  paused: ["resume", "cancel"],
  cancelling: [],
  cancelled: [],
  succeeded: [],
  failed: [],
};

/** Nothing more will happen to the job. */
export const isFinal = (state: JobState): boolean => FINAL.has(state);

/** What can be asked of a job in this state. */
export const actionsIn = (state: JobState): JobAction[] => ACTIONS[state];
