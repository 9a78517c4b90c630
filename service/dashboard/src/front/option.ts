import type { EChartsCoreOption } from "echarts/core";
import { metricTitle, quantity } from "../format/metrics";
import { exact, percent } from "../format/numbers";
import type { Palette } from "./palette";
import type { Scale } from "./scale";
import type { Scene } from "./scene";
import { seriesOf } from "./series";
import { tooltipOf } from "./tooltip";

/** The scene in the chart library's terms. */
export function optionOf(scene: Scene, palette: Palette): EChartsCoreOption {
  return {
    animation: false,
    textStyle: { fontFamily: "inherit", color: palette.text },
    grid: { left: 62, right: 20, top: 20, bottom: 50, outerBoundsMode: "none" },
    tooltip: tooltipOf(scene, palette),
    xAxis: {
      ...axis(scene.x, palette, (value) => exact(quantity(scene.axis, value))),
      name: metricTitle(scene.axis) + (scene.x.isLog ? " (log scale)" : ""),
      nameGap: 30,
    },
    yAxis: { ...axis(scene.y, palette, percentLabels(scene.y.ticks)), name: "Accuracy", nameGap: 48, nameRotate: 90 },
    series: seriesOf(scene, palette),
  };
}

function axis({ isLog, min, max, ticks }: Scale, palette: Palette, formatter: (value: number) => string) {
  return {
    type: isLog ? "log" : "value",
    min,
    max,
    nameLocation: "middle",
    nameTextStyle: { color: palette.muted, fontSize: 12 },
    axisLabel: { color: palette.muted, fontSize: 11, customValues: ticks, formatter, hideOverlap: true },
    axisTick: { show: false, customValues: ticks },
    minorTick: { show: false },
    axisLine: { show: true, lineStyle: { color: palette.line } },
    splitLine: { lineStyle: { color: palette.line, opacity: 0.6 } },
  };
}

/** As many digits as tell the ticks apart. */
function percentLabels(ticks: number[]): (value: number) => string {
  const step = (ticks[1] ?? 1) - (ticks[0] ?? 0);
  const digits = Math.max(0, Math.ceil(-Math.log10(step * 100) - 1e-9));
  return (value) => percent(value, digits);
}
