import {
  createColumnHelper,
  createSortedRowModel,
  rowSortingFeature,
  sortFn_basic,
  tableFeatures,
} from "@tanstack/react-table";
import type { Trial } from "../api/types";

/** A trial with what depends on the rest of its job. */
export interface TrialRow {
  trial: Trial;
  drop: number | undefined;
  isChosen: boolean;
}

/** The parts of the table library that the trial table is made of. */
export const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { basic: sortFn_basic },
});

export const column = createColumnHelper<typeof features, TrialRow>();
