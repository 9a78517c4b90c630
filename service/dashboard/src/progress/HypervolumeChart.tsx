import { useMemo, useRef } from "react";
import type { HypervolumePoint } from "../api/types";
import { useChart } from "../charts/chart";
import { type Palette, usePalette } from "../charts/palette";
import { significant } from "../format/numbers";
import { duration } from "../format/time";

interface Props {
  items: HypervolumePoint[];
  over: "trials" | "time";
}

/** The default export, because it is loaded apart from the page. */
export default function HypervolumeChart({ items, over }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const palette = usePalette();
  const option = useMemo(() => optionOf(items, over, palette), [items, over, palette]);
  useChart(box, option);
  const [first, last] = [items[0], items.at(-1)].map((point) => significant(point?.hypervolume ?? 0));
  const label = `Hypervolume over ${over}: grew from ${first} to ${last} in ${items.length} trials. The data table below has each.`;
  return <div ref={box} className="chart-small" role="img" aria-label={label} data-testid="hypervolume-chart" />;
}

function optionOf(items: HypervolumePoint[], over: Props["over"], palette: Palette) {
  const axis = {
    nameLocation: "middle",
    nameTextStyle: { color: palette.muted, fontSize: 12 },
    axisLabel: { color: palette.muted, fontSize: 11, hideOverlap: true },
    axisLine: { show: true, lineStyle: { color: palette.line } },
    splitLine: { lineStyle: { color: palette.line, opacity: 0.6 } },
    axisTick: { show: false },
  };
  const isTime = over === "time";
  return {
    animation: false,
    textStyle: { fontFamily: "inherit", color: palette.text },
    grid: { left: 56, right: 20, top: 12, bottom: 46, outerBoundsMode: "none" },
    tooltip: {
      trigger: "axis",
      confine: true,
      backgroundColor: palette.surface,
      borderColor: palette.line,
      textStyle: { color: palette.text, fontSize: 12 },
      formatter: (params: unknown) => {
        const point = items[(params as { dataIndex: number }[])[0]?.dataIndex ?? 0];
        if (!point) return "";
        const text = document.createElement("span");
        text.textContent = `${significant(point.hypervolume)} after trial ${point.trial}, ${duration(point.elapsed_s)}`;
        return text;
      },
    },
    xAxis: {
      ...axis,
      type: "value",
      name: isTime ? "Time of evaluation" : "Trial",
      nameGap: 28,
      min: "dataMin",
      max: "dataMax",
      axisLabel: { ...axis.axisLabel, formatter: (value: number) => (isTime ? duration(value) : String(value)) },
    },
    yAxis: {
      ...axis,
      type: "value",
      name: "Hypervolume",
      nameGap: 40,
      nameRotate: 90,
      scale: true,
      axisLabel: { ...axis.axisLabel, formatter: (value: number) => significant(value) },
    },
    series: [
      {
        id: "hypervolume",
        type: "line",
        step: "end",
        symbol: "none",
        lineStyle: { color: palette.accent, width: 2 },
        areaStyle: { color: palette.accent, opacity: 0.1, origin: "start" },
        data: items.map(({ trial, elapsed_s, hypervolume }) => [isTime ? elapsed_s : trial, hypervolume]),
      },
    ],
  };
}
