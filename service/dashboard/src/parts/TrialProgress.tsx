import type { Progress } from "../api/types";

export function TrialProgress({ trials }: { trials: Progress["trials"] }) {
  return (
    <span className="progress" data-testid="progress">
      {/* A budget that is not known yet must not make a full bar. */}
      <progress value={trials.done} max={Math.max(trials.total, 1)} aria-label="Trials done" />
      <span className="number">
        {trials.done}/{trials.total}
      </span>
    </span>
  );
}
