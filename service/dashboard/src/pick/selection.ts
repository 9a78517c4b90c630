import { useCallback, useMemo, useRef } from "react";
import { setQuery } from "../routing/place";
import { queryOf, type Ranges, rangesOf } from "./ranges";

/** What is picked out on a job's page; the address holds it all, so that a link shows the same. */
export interface Selection {
  trial: number | null;
  /** Whether the table must bring the row into view: not when the row itself was clicked. */
  needsScroll: boolean;
  select: (trial: number, from?: "table") => void;
  /** The brushed ranges, which every view shows. */
  ranges: Ranges;
  /** Replaces some ranges; `null` removes one. */
  brush: (changes: Partial<Record<keyof Ranges, readonly [number, number] | null>>) => void;
  clear: () => void;
  /** Trials put aside to be compared. */
  marked: ReadonlySet<number>;
  mark: (trial: number, isMarked: boolean) => void;
}

export function useSelection(query: URLSearchParams): Selection {
  const text = query.get("trial");
  const trial = text !== null && /^\d+$/.test(text) ? Number(text) : null;
  const clickedRow = useRef<number | null>(null);
  // Their text stays the same while other parts of the address change, and with it the parsed value.
  const brushed = JSON.stringify(rangesOf(query));
  const ranges = useMemo(() => JSON.parse(brushed) as Ranges, [brushed]);
  const list = query.get("marked") ?? "";
  const marked = useMemo(() => new Set(numbersOf(list)), [list]);

  const select = useCallback((next: number, from?: "table") => {
    clickedRow.current = from === "table" ? next : null;
    setQuery({ trial: String(next) });
  }, []);
  const brush = useCallback(
    (changes: Partial<Record<keyof Ranges, readonly [number, number] | null>>) => {
      const merged = Object.entries({ ...ranges, ...changes }).filter(([, range]) => range != null);
      setQuery(queryOf(Object.fromEntries(merged) as Ranges));
    },
    [ranges],
  );
  const clear = useCallback(() => setQuery(queryOf({})), []);
  const mark = useCallback(
    (number: number, isMarked: boolean) => {
      const rest = [...marked].filter((other) => other !== number);
      const next = (isMarked ? [...rest, number] : rest).sort((a, b) => a - b);
      setQuery({ marked: next.join(",") || null });
    },
    [marked],
  );

  const needsScroll = trial !== null && clickedRow.current !== trial;
  return useMemo(
    () => ({ trial, needsScroll, select, ranges, brush, clear, marked, mark }),
    [trial, needsScroll, select, ranges, brush, clear, marked, mark],
  );
}

/** Trial numbers with commas between; whatever is none is left out. */
export const numbersOf = (text: string): number[] => [
  ...new Set(text.split(",").filter((part) => /^\d+$/.test(part)).map(Number)),
];
