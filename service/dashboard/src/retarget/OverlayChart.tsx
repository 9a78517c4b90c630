import { useMemo, useRef } from "react";
import { axisName, axisOf, tickLabels } from "../charts/axis";
import { useChart } from "../charts/chart";
import { type Palette, usePalette } from "../charts/palette";
import { metricLabel, metricTitle, quantity } from "../format/metrics";
import { exact, times } from "../format/numbers";
import type { Axis } from "../front/axes";
import { accuracyScale, costScale, ends } from "../front/scale";
import { type Placed, placed, type Side, type Unit } from "./overlay";

interface Props {
  sides: Side[];
  x: Axis;
  unit: Unit;
}

/** The fronts of two targets, one over the other. The default export, because it is loaded apart from the page. */
export default function OverlayChart({ sides, x, unit }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const palette = usePalette();
  const option = useMemo(() => optionOf(sides, x, unit, palette), [sides, x, unit, palette]);
  useChart(box, option);
  const counts = sides.map(({ target, front }) => `${front.trials.length} trials on ${target}`).join(", ");
  const label = `Accuracy against ${metricLabel(x)}, the fronts of ${sides.length} targets: ${counts}. The table below has the same numbers.`;
  return <div ref={box} className="chart" role="img" aria-label={label} data-testid="overlay-chart" />;
}

function optionOf(sides: Side[], x: Axis, unit: Unit, palette: Palette) {
  const fronts = sides.map((side) => placed(side, x, "accuracy", unit));
  const points = fronts.flat();
  const across = costScale(points.map((point) => point.x.value));
  const up = accuracyScale(...ends(points.flatMap((point) => [point.y.low, point.y.high])));
  const looks = [
    { color: palette.accent, symbol: "circle" },
    { color: palette.mark, symbol: "triangle" },
  ];
  const name = axisName(x, across);
  return {
    animation: false,
    textStyle: { fontFamily: "inherit", color: palette.text },
    grid: { left: 62, right: 20, top: 20, bottom: 50, outerBoundsMode: "none" },
    tooltip: {
      trigger: "item",
      confine: true,
      backgroundColor: palette.surface,
      borderColor: palette.line,
      textStyle: { color: palette.text, fontSize: 12 },
      formatter: ({ seriesIndex, dataIndex }: { seriesIndex: number; dataIndex: number }) =>
        card(sides[seriesIndex % sides.length], fronts[seriesIndex % sides.length]?.[dataIndex], x),
    },
    xAxis: {
      ...axisOf(across, palette, unit === "relative" ? (value) => exact(times(value)) : tickLabels(x, across)),
      name: unit === "relative" ? `${name}, of each target's reference` : name,
      nameGap: 30,
    },
    yAxis: { ...axisOf(up, palette, tickLabels("accuracy", up)), name: "Accuracy", nameGap: 48, nameRotate: 90 },
    series: [
      ...sides.map(({ target, front }, index) => ({
        id: target,
        type: "scatter",
        symbol: looks[index]?.symbol,
        symbolSize: 12,
        itemStyle: { color: looks[index]?.color, borderColor: palette.text, borderWidth: 1 },
        data: (fronts[index] ?? []).map(({ x: { value }, y, trial }) => ({
          value: [value, y.value],
          symbolSize: trial.trial === front.chosen ? 20 : 12,
        })),
        z: 3,
      })),
      ...sides.map(({ target }, index) => ({
        id: `${target} steps`,
        type: "line",
        step: "end",
        silent: true,
        symbol: "none",
        lineStyle: { color: looks[index]?.color, width: 1.5, opacity: 0.7, type: index === 0 ? "solid" : "dashed" },
        data: climbing(fronts[index] ?? []).map((point) => [point.x.value, point.y.value]),
        z: 2,
      })),
    ],
  };
}

/** Those that are more accurate than all that are cheaper: a front of three objectives has more members. */
function climbing(points: Placed[]): Placed[] {
  let best = Number.NEGATIVE_INFINITY;
  return points.filter(({ y }) => {
    if (y.value <= best) return false;
    best = y.value;
    return true;
  });
}

function card(side: Side | undefined, point: Placed | undefined, x: Axis): HTMLElement | string {
  const metric = point?.trial.metrics[x];
  if (!side || !point || !metric) return "";
  const text = document.createElement("span");
  const gain = metric.speedup ?? metric.ratio;
  text.textContent =
    `Trial ${point.trial.trial} on ${side.target}: ${metricTitle(x)} ${quantity(x, metric.value)}` +
    `${gain == null ? "" : ` (${times(gain)})`}, accuracy ${quantity("accuracy", point.y.value)}`;
  return text;
}
