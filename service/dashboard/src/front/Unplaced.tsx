import type { Trial } from "../api/types";

/** Says which trials the chart leaves out, so that nobody misses them in silence. */
export function Unplaced({ trials }: { trials: Trial[] }) {
  const counts = new Map<string, number>();
  for (const { state } of trials) counts.set(state, (counts.get(state) ?? 0) + 1);
  if (counts.size === 0) return null;
  const parts = [...counts].map(([state, count]) => `${count} ${state}`);
  return <p className="note">Not drawn, for want of a number on either axis: {parts.join(", ")}.</p>;
}
