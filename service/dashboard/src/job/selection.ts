import { useCallback, useMemo, useRef } from "react";
import { setQuery } from "../routing/place";

/** The selected trial; the address holds it, so that a link shows the same. */
export interface Selection {
  trial: number | null;
  /** Whether the table must bring the row into view: not when the row itself was clicked. */
  needsScroll: boolean;
  select: (trial: number, from?: "table") => void;
}

export function useSelection(query: URLSearchParams): Selection {
  const text = query.get("trial");
  const trial = text !== null && /^\d+$/.test(text) ? Number(text) : null;
  const clickedRow = useRef<number | null>(null);

  const select = useCallback((next: number, from?: "table") => {
    clickedRow.current = from === "table" ? next : null;
    setQuery({ trial: String(next) });
  }, []);

  const needsScroll = trial !== null && clickedRow.current !== trial;
  return useMemo(() => ({ trial, needsScroll, select }), [trial, needsScroll, select]);
}
