import { useTable } from "@tanstack/react-table";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Metrics, Trial } from "../api/types";
import type { Selection } from "../pick/selection";
import { isInside } from "../pick/ranges";
import { columns } from "./columns";
import { accuracyDrop } from "./drop";
import { features } from "./features";
import { TrialTableHead } from "./TrialTableHead";
import { TrialTableRow } from "./TrialTableRow";

interface Props {
  trials: Trial[];
  /** Columns left out, by id with commas between. */
  hidden: string;
  reference: Metrics | null;
  chosen: number | null;
  selection: Selection;
}

/** Rows drawn at first, and added at a time: a browser stays quick with these. */
const ROWS = 200;

export function TrialTable({ trials, hidden, reference, chosen, selection }: Props) {
  const [most, setMost] = useState(ROWS);
  const shownColumns = useMemo(() => {
    const ids = new Set(hidden.split(","));
    return columns.filter(({ id }) => !id || !ids.has(id));
  }, [hidden]);
  const data = useMemo(
    () => trials.map((trial) => ({ trial, drop: accuracyDrop(trial, reference), isChosen: trial.trial === chosen })),
    [trials, reference, chosen],
  );
  const table = useTable({
    features,
    columns: shownColumns,
    data,
    getRowId: ({ trial }) => String(trial.trial),
    enableSortingRemoval: false,
    initialState: { sorting: [{ id: "trial", desc: false }] },
  });
  const rows = table.getRowModel().rows;
  const selectedAt = rows.findIndex(({ original }) => original.trial.trial === selection.trial);
  const drawn = rows.slice(0, Math.max(most, selectedAt + 1));
  const box = useRevealed(selection);

  return (
    <>
      <div ref={box} className="scroll" role="region" aria-label="Rows of trials" tabIndex={0}>
        <table className="trials" data-testid="trial-table" aria-labelledby="trials-title">
          <TrialTableHead table={table} />
          <tbody>
            {drawn.map((row) => (
              <TrialTableRow
                key={row.id}
                row={row}
                isSelected={row.original.trial.trial === selection.trial}
                isMarked={selection.marked.has(row.original.trial.trial)}
                isFaint={!isInside(row.original.trial, selection.ranges)}
                onSelect={selection.select}
                onMark={selection.mark}
              />
            ))}
          </tbody>
        </table>
      </div>
      {drawn.length < rows.length && (
        <p className="more">
          <button type="button" onClick={() => setMost((count) => count + 5 * ROWS)}>
            Show more
          </button>{" "}
          <span className="note">
            {drawn.length} of {rows.length} rows are drawn; sorting and filtering cover them all.
          </span>
        </p>
      )}
    </>
  );
}

/** The scrolling box; brings the row of a trial that was selected elsewhere into view. */
function useRevealed({ trial, needsScroll }: Selection) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const row = needsScroll && box.current?.querySelector<HTMLElement>(`[data-trial="${trial}"]`);
    if (!row || !box.current) return;
    // Only the box moves: a page that jumps would take the clicked point from under the pointer.
    const head = box.current.querySelector("thead")?.offsetHeight ?? 0;
    box.current.scrollTop = row.offsetTop - head;
  }, [trial, needsScroll]);
  return box;
}
