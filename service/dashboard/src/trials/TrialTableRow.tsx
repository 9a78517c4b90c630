import { FlexRender, type Row } from "@tanstack/react-table";
import { memo } from "react";
import { NUMERIC } from "./columns";
import type { features, TrialRow } from "./features";

interface Props {
  row: Row<typeof features, TrialRow>;
  isSelected: boolean;
  isMarked: boolean;
  /** Outside of what is brushed. */
  isFaint: boolean;
  onSelect: (trial: number, from: "table") => void;
  onMark: (trial: number, isMarked: boolean) => void;
}

/** One trial. Memoised, so that selecting one of a thousand draws two rows again and not all. */
export const TrialTableRow = memo(function TrialTableRow(props: Props) {
  const { row, isSelected, isMarked, isFaint, onSelect, onMark } = props;
  const { trial } = row.original;
  return (
    <tr
      data-testid="trial-row"
      data-trial={trial.trial}
      data-front={trial.on_front}
      data-state={trial.state}
      data-faint={isFaint}
      aria-current={isSelected ? "true" : undefined}
      onClick={() => onSelect(trial.trial, "table")}
    >
      {row.getAllCells().map((cell) => (
        <td key={cell.id} className={NUMERIC.has(cell.column.id) ? "number" : undefined}>
          {cell.column.id === "trial" && (
            <input
              type="checkbox"
              aria-label={`Compare trial ${trial.trial}`}
              checked={isMarked}
              onClick={(event) => event.stopPropagation()}
              onChange={(event) => onMark(trial.trial, event.target.checked)}
            />
          )}
          <FlexRender cell={cell} />
        </td>
      ))}
    </tr>
  );
});
