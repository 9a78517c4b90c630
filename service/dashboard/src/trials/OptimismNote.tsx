import type { Optimism } from "../api/types";
import { points } from "../format/numbers";

/** What the choice lost where the search had not looked: a search picks what looks best on the split it sees. */
export function OptimismNote({ optimism }: { optimism: Optimism }) {
  const { validation, test, test_low, test_high, gap, front_gap, allowed, holds } = optimism;
  const range = test_low != null && test_high != null ? ` (${points(test_low)} to ${points(test_high)})` : "";
  return (
    <p className="optimism" data-tone={holds === false ? "warn" : "calm"} data-testid="optimism">
      On data that the search never saw it loses {points(test)} points{range}, on those it chose by {points(validation)}:{" "}
      {gap > 0 ? `the search was ${points(gap)} points too hopeful` : "the search was not too hopeful"} (
      {points(front_gap)} on average over the front).
      {allowed != null && ` The allowed ${points(allowed)} points ${holds ? "hold" : "do not hold"} there.`}
    </p>
  );
}
