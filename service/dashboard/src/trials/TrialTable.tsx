import { useTable } from "@tanstack/react-table";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Metrics, Trial } from "../api/types";
import type { Selection } from "../job/selection";
import { columns } from "./columns";
import { accuracyDrop } from "./drop";
import { features } from "./features";
import { TrialTableHead } from "./TrialTableHead";
import { TrialTableRow } from "./TrialTableRow";

interface Props {
  trials: Trial[];
  reference: Metrics | null;
  chosen: number | null;
  selection: Selection;
}

/** Rows drawn at first: a browser stays quick with these, and few jobs have more. */
const FIRST_ROWS = 500;

export function TrialTable({ trials, reference, chosen, selection }: Props) {
  const [isWhole, setWhole] = useState(false);
  const data = useMemo(
    () => trials.map((trial) => ({ trial, drop: accuracyDrop(trial, reference), isChosen: trial.trial === chosen })),
    [trials, reference, chosen],
  );
  const table = useTable({
    features,
    columns,
    data,
    getRowId: ({ trial }) => String(trial.trial),
    enableSortingRemoval: false,
    initialState: { sorting: [{ id: "trial", desc: false }] },
  });
  const rows = table.getRowModel().rows;
  const selectedAt = rows.findIndex(({ original }) => original.trial.trial === selection.trial);
  const drawn = isWhole ? rows : rows.slice(0, Math.max(FIRST_ROWS, selectedAt + 1));
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
                onSelect={selection.select}
              />
            ))}
          </tbody>
        </table>
      </div>
      {drawn.length < rows.length && (
        <p>
          <button type="button" onClick={() => setWhole(true)}>
            Show all {rows.length} trials
          </button>
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
