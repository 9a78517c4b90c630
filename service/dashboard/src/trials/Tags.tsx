import type { TrialRow } from "./features";
import { TieTag } from "./TieTag";

/** A trial's number, as the button that selects its row, and what it is within its job. */
export function Tags({ row: { trial, isChosen } }: { row: TrialRow }) {
  return (
    <>
      {/* The row handles the click; the button makes it reachable by keyboard. */}
      <button type="button" className="trial-link">
        <span className="unseen">Trial </span>
        {trial.trial}
      </button>
      {trial.on_front && <span className="tag" data-tag="front">front</span>}
      {trial.is_knee && <span className="tag" data-tag="named">knee</span>}
      <TieTag trial={trial} isShort />
      {isChosen && <span className="tag" data-tag="named">chosen</span>}
    </>
  );
}
