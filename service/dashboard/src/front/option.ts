import type { EChartsCoreOption } from "echarts/core";
import { axisName, axisOf, tickLabels } from "../charts/axis";
import type { Palette } from "../charts/palette";
import type { Scene } from "./scene";
import { seriesOf } from "./series";
import { tooltipOf } from "./tooltip";

/** The scene in the chart library's terms. */
export function optionOf(scene: Scene, palette: Palette): EChartsCoreOption {
  const { x, y } = scene.axes;
  return {
    animation: false,
    textStyle: { fontFamily: "inherit", color: palette.text },
    grid: { left: 62, right: 20, top: 20, bottom: 50, outerBoundsMode: "none" },
    tooltip: tooltipOf(scene, palette),
    brush: {
      xAxisIndex: 0,
      yAxisIndex: 0,
      brushMode: "single",
      transformable: false,
      seriesIndex: [],
      brushStyle: { borderWidth: 1, color: palette.accent, opacity: 0.15, borderColor: palette.accent },
    },
    xAxis: { ...axisOf(scene.x, palette, tickLabels(x, scene.x)), name: axisName(x, scene.x), nameGap: 30 },
    yAxis: {
      ...axisOf(scene.y, palette, tickLabels(y, scene.y)),
      name: axisName(y, scene.y),
      nameGap: 48,
      nameRotate: 90,
    },
    series: seriesOf(scene, palette),
  };
}
