import { FlexRender, type Row } from "@tanstack/react-table";
import { memo } from "react";
import { NUMERIC } from "./columns";
import type { features, TrialRow } from "./features";

interface Props {
  row: Row<typeof features, TrialRow>;
  isSelected: boolean;
  onSelect: (trial: number, from: "table") => void;
}

/** One trial. Memoised, so that selecting one of a thousand draws two rows again and not all. */
export const TrialTableRow = memo(function TrialTableRow({ row, isSelected, onSelect }: Props) {
  const { trial } = row.original;
  return (
    <tr
      data-testid="trial-row"
      data-trial={trial.trial}
      data-front={trial.on_front}
      data-state={trial.state}
      aria-current={isSelected ? "true" : undefined}
      onClick={() => onSelect(trial.trial, "table")}
    >
      {row.getAllCells().map((cell) => (
        <td key={cell.id} className={NUMERIC.has(cell.column.id) ? "number" : undefined}>
          <FlexRender cell={cell} />
        </td>
      ))}
    </tr>
  );
});
