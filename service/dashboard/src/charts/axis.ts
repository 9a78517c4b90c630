import type { Scale } from "../front/scale";
import { metricTitle, quantity } from "../format/metrics";
import { exact, percent } from "../format/numbers";
import type { Palette } from "./palette";

/** A scale in the chart library's terms. */
export function axisOf({ isLog, min, max, ticks }: Scale, palette: Palette, formatter: (value: number) => string) {
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

export const axisName = (metric: string, { isLog }: Scale): string => metricTitle(metric) + (isLog ? " (log scale)" : "");

/** How ticks of a metric are written. */
export function tickLabels(metric: string, { ticks }: Scale): (value: number) => string {
  if (metric !== "accuracy" && metric !== "accuracy_drop") return (value) => exact(quantity(metric, value));
  // As many digits as tell the ticks apart.
  const step = (ticks[1] ?? 1) - (ticks[0] ?? 0);
  const digits = Math.max(0, Math.ceil(-Math.log10(step * 100) - 1e-9));
  if (metric === "accuracy") return (value) => percent(value, digits);
  return (value) => percent(value, digits).replace(" %", "");
}
