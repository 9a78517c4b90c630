import type { ReactTable } from "@tanstack/react-table";
import { NUMERIC } from "./columns";
import type { features, TrialRow } from "./features";

const ARIA_SORT = { asc: "ascending", desc: "descending" } as const;

export function TrialTableHead({ table }: { table: ReactTable<typeof features, TrialRow> }) {
  return (
    <thead>
      {table.getHeaderGroups().map((group) => (
        <tr key={group.id}>
          {group.headers.map((header) => {
            const order = header.column.getIsSorted();
            return (
              <th
                key={header.id}
                scope="col"
                className={NUMERIC.has(header.column.id) ? "number" : undefined}
                aria-sort={order ? ARIA_SORT[order] : undefined}
              >
                <button type="button" className="sort" onClick={header.column.getToggleSortingHandler()}>
                  <table.FlexRender header={header} />
                </button>
              </th>
            );
          })}
        </tr>
      ))}
    </thead>
  );
}
