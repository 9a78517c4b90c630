import type { Trial } from "../api/types";

/** Marks a member of the front whose every advantage over some others is within noise. */
export function TieTag({ trial, isShort = false }: { trial: Trial | undefined; isShort?: boolean }) {
  const others = trial?.tied_with ?? [];
  if (others.length === 0) return null;
  const named = others.length > 6 ? `${others.slice(0, 6).join(", ")} and ${others.length - 6} more` : others.join(", ");
  const text = `Every advantage over trial${others.length > 1 ? "s" : ""} ${named} is within the intervals: another measurement may well turn it round.`;
  return (
    <abbr className="tag" data-tag="tied" title={text}>
      {isShort ? "≈" : "within noise of"} {others.length}
    </abbr>
  );
}
