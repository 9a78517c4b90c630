import type { Metric } from "../api/types";
import { excess } from "../format/metrics";
import { duration } from "../format/time";
import { bytes, macs, milliseconds, percent, points, times } from "../format/numbers";
import { StateBadge } from "../parts/StateBadge";
import { Tags } from "./Tags";
import { column } from "./features";

/** Columns whose cells are numbers, aligned to the right. */
export const NUMERIC: ReadonlySet<string> = new Set(["accuracy", "drop", "latency_ms", "size_bytes", "macs", "seconds"]);

// Without a value a row sorts last, whichever way; the best values come first on the first click.
const measured = { sortUndefined: "last", sortFn: "basic", sortDescFirst: false } as const;

export const columns = column.columns([
  column.accessor(({ trial }) => trial.trial, {
    id: "trial",
    header: "Trial",
    sortFn: "basic",
    sortDescFirst: false,
    cell: ({ row }) => <Tags row={row.original} />,
  }),
  column.accessor(({ trial }) => trial.state, {
    id: "state",
    header: "State",
    sortFn: "basic",
    cell: ({ getValue }) => <StateBadge state={getValue()} />,
  }),
  column.accessor(({ trial }) => trial.origin, { id: "origin", header: "Origin", sortFn: "basic" }),
  column.accessor(({ trial }) => trial.metrics.accuracy?.value, {
    ...measured,
    id: "accuracy",
    header: "Accuracy",
    sortDescFirst: true,
    cell: ({ row }) => accuracy(row.original.trial.metrics.accuracy),
  }),
  column.accessor(({ drop }) => drop, {
    ...measured,
    id: "drop",
    header: "Drop (points)",
    cell: ({ getValue }) => optional(getValue(), points),
  }),
  column.accessor(({ trial }) => trial.metrics.latency_ms?.value, {
    ...measured,
    id: "latency_ms",
    header: "Latency, speed-up",
    cell: ({ row }) => withGain(row.original.trial.metrics.latency_ms, milliseconds),
  }),
  column.accessor(({ trial }) => trial.metrics.size_bytes?.value, {
    ...measured,
    id: "size_bytes",
    header: "Size, ratio",
    cell: ({ row }) => withGain(row.original.trial.metrics.size_bytes, bytes),
  }),
  column.accessor(({ trial }) => trial.metrics.macs?.value, {
    ...measured,
    id: "macs",
    header: "MACs, ratio",
    cell: ({ row }) => withGain(row.original.trial.metrics.macs, macs),
  }),
  column.accessor(({ trial }) => trial.seconds || undefined, {
    ...measured,
    id: "seconds",
    header: "Evaluated in",
    cell: ({ getValue }) => optional(getValue(), duration),
  }),
  column.accessor(({ trial }) => remark(trial.violates, trial.reason), {
    id: "remark",
    header: "Exceeds, reason",
    sortFn: "basic",
    sortUndefined: "last",
    cell: ({ getValue }) => <span className="remark">{getValue()}</span>,
  }),
]);

function remark(violates: Record<string, number>, reason: string | null): string | undefined {
  const broken = Object.entries(violates).map(([metric, value]) => excess(metric, value));
  return [...broken, ...(reason ? [reason] : [])].join("; ") || undefined;
}

function optional(value: number | undefined, format: (value: number) => string) {
  return value === undefined ? <Nothing /> : format(value);
}

function accuracy(metric: Metric | undefined) {
  if (!metric) return <Nothing />;
  const { value, low, high } = metric;
  return (
    <>
      {percent(value)}{" "}
      {low != null && high != null && (
        <span className="beside">
          {(low * 100).toFixed(1)}–{(high * 100).toFixed(1)}
        </span>
      )}
    </>
  );
}

function withGain(metric: Metric | undefined, format: (value: number) => string) {
  if (!metric) return <Nothing />;
  const gain = metric.speedup ?? metric.ratio;
  return (
    <>
      {format(metric.value)}
      {metric.contended && (
        <abbr className="warn" title="The machine was busy while this was measured">
          {" "}
          busy
        </abbr>
      )}
      {" "}
      <span className="beside">{gain == null ? "" : times(gain)}</span>
    </>
  );
}

/** A screen reader says "none" where the eye sees a dash. */
function Nothing() {
  return (
    <span className="nothing">
      <span aria-hidden="true">–</span>
      <span className="unseen">none</span>
    </span>
  );
}
