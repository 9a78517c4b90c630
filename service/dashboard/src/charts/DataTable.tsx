import type { ReactNode } from "react";

interface Props {
  /** What the chart shows, for the table's caption. */
  caption: string;
  head: string[];
  rows: { key: string | number; cells: ReactNode[] }[];
}

const MOST_ROWS = 500;

/** The numbers of a chart for whoever cannot see it, or wants to read them; folded away until asked for. */
export function DataTable({ caption, head, rows }: Props) {
  return (
    <details className="data-table">
      <summary>Data table</summary>
      <div className="scroll" role="region" aria-label={caption} tabIndex={0}>
        <table>
          <caption className="unseen">{caption}</caption>
          <thead>
            <tr>
              {head.map((name) => (
                <th key={name} scope="col" className="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, MOST_ROWS).map(({ key, cells }) => (
              <tr key={key}>
                {cells.map((cell, index) => (
                  <td key={head[index]} className="number">
                    {cell}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > MOST_ROWS && (
        <p className="note">The first {MOST_ROWS} of {rows.length}; the CSV file has them all.</p>
      )}
    </details>
  );
}
