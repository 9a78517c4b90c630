import { useCallback, useEffect, useMemo, useRef } from "react";
import type { Trial } from "../api/types";
import { tickLabels } from "../charts/axis";
import { useChart, useChartEvent } from "../charts/chart";
import { type Palette, usePalette } from "../charts/palette";
import { metricLabel, metricTitle } from "../format/metrics";
import { type Axis, isMaximised } from "../front/axes";
import { accuracyScale, costScale, ends, type Scale } from "../front/scale";
import { isInside } from "../pick/ranges";
import type { Selection } from "../pick/selection";

interface Props {
  axes: Axis[];
  /** Each has a value for every axis. */
  trials: Trial[];
  selection: Selection;
}

/** Lines beyond this many say nothing; the front is always drawn whole. */
const LINES = 600;

/** The default export, because it is loaded apart from the page. */
export default function ParallelChart({ axes, trials, selection }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const palette = usePalette();
  const { ranges, brush, trial: selected } = selection;
  const option = useMemo(() => optionOf(axes, trials, selection, palette), [axes, trials, selection, palette]);
  const chart = useChart(box, option);

  useEffect(() => {
    axes.forEach((axis, index) => {
      const range = ranges[axis];
      chart?.dispatchAction({ type: "axisAreaSelect", parallelAxisId: axisId(index), intervals: range ? [[...range]] : [] });
    });
  }, [chart, axes, ranges, option]);

  const picked = useCallback(
    (event: unknown) => {
      const { parallelAxisId, intervals } = event as { parallelAxisId?: string; intervals?: number[][] };
      const axis = axes.find((_, index) => parallelAxisId?.includes(axisId(index)));
      if (!axis || !intervals) return;
      const [low, high] = intervals[0] ?? [];
      const known = ranges[axis];
      // The chart also tells what it was just told.
      if (low === undefined || high === undefined ? !known : same(known, low, high)) return;
      brush({ [axis]: low === undefined || high === undefined ? null : [Math.min(low, high), Math.max(low, high)] });
    },
    [axes, ranges, brush],
  );
  useChartEvent(chart, "axisareaselected", picked);

  const label = `Each of ${trials.length} trials as a line over ${axes.map(metricLabel).join(", ")}${
    selected === null ? "" : `; trial ${selected} is selected`
  }. The table of trials has the same numbers.`;
  return <div ref={box} className="chart-small" role="img" aria-label={label} data-testid="parallel-chart" />;
}

const axisId = (index: number) => `parallel-axis-${index}`;

const same = (range: readonly [number, number] | undefined, low: number, high: number): boolean =>
  range !== undefined && close(range[0], low) && close(range[1], high);

const close = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-5 * Math.max(Math.abs(a), Math.abs(b));

function optionOf(axes: Axis[], trials: Trial[], { trial: selected, ranges }: Selection, palette: Palette) {
  const stride = Math.ceil(trials.length / LINES);
  const drawn = trials.filter((trial, index) => index % stride === 0 || trial.on_front || trial.trial === selected);
  const line = (trial: Trial) => {
    const isSelected = trial.trial === selected;
    const colour = isSelected ? palette.mark : trial.on_front ? palette.accent : palette.dim;
    const opacity = isInside(trial, ranges) ? (isSelected ? 1 : trial.on_front ? 0.75 : 0.3) : 0.05;
    return {
      value: axes.map((axis) => trial.metrics[axis]?.value ?? 0),
      lineStyle: { color: colour, width: isSelected ? 3 : 1.2, opacity },
    };
  };
  // What is drawn last lies on top.
  const rank = (trial: Trial) => (trial.trial === selected ? 2 : trial.on_front ? 1 : 0);
  return {
    animation: false,
    textStyle: { fontFamily: "inherit", color: palette.text },
    parallel: { left: 36, right: 64, top: 40, bottom: 20 },
    parallelAxis: axes.map((axis, index) => {
      const scale = scaleOf(axis, trials);
      return {
        id: axisId(index),
        dim: index,
        name: metricTitle(axis),
        type: scale.isLog ? "log" : "value",
        min: scale.min,
        max: scale.max,
        inverse: !isMaximised(axis),
        nameLocation: isMaximised(axis) ? "end" : "start",
        nameTextStyle: { color: palette.text, fontSize: 12 },
        axisLabel: {
          color: palette.muted,
          fontSize: 11,
          backgroundColor: palette.surface,
          padding: [1, 3],
          customValues: scale.ticks,
          formatter: tickLabels(axis, scale),
        },
        axisTick: { show: false },
        minorTick: { show: false },
        axisLine: { lineStyle: { color: palette.muted } },
        areaSelectStyle: { width: 18, borderWidth: 1, borderColor: palette.accent, color: palette.accent, opacity: 0.2 },
        realtime: false,
      };
    }),
    series: [
      {
        id: "trials",
        type: "parallel",
        silent: true,
        // With a range on some axis, the library puts these in place of the lines' own.
        inactiveOpacity: 0.06,
        activeOpacity: 0.85,
        data: drawn.toSorted((a, b) => rank(a) - rank(b)).map(line),
      },
    ],
  };
}

function scaleOf(axis: Axis, trials: Trial[]): Scale {
  const values = trials.map(({ metrics }) => metrics[axis]?.value ?? 0);
  if (axis === "accuracy") return accuracyScale(...ends(values));
  return costScale(values, axis === "accuracy_drop" ? false : null);
}
