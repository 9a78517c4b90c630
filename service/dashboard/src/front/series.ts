import type { CustomSeriesRenderItemAPI, CustomSeriesRenderItemParams } from "echarts/types/dist/shared";
import type { Drawn, DrawnTrial } from "./drawn";
import type { Palette } from "./palette";
import type { Scene } from "./scene";

/** Beyond so many, the intervals of what is not on the front are a curtain before it. */
const DIM_WHISKERS = 150;

/** Where the plot begins, in pixels from the left: what the axis and its name take up. */
const PLOT_LEFT = 66;

/** The layers of the chart, from the back to the front. */
export function seriesOf(scene: Scene, palette: Palette) {
  const { points, steps, reference } = scene;
  const of = (kind: DrawnTrial["kind"]) => points.filter((point) => point.kind === kind);
  const dim = [...of("dominated"), ...of("undeployed")];
  return [
    limits(scene, palette),
    whiskers("whiskers-dim", dim.length <= DIM_WHISKERS ? dim : [], palette.dim, 0.3),
    whiskers("whiskers-front", of("front"), palette.accent, 0.55),
    whiskers("whisker-reference", reference ? [reference] : [], palette.text, 0.55),
    dots("undeployed", of("undeployed"), palette.dim, palette, { symbol: "triangle", symbolSize: 8, opacity: 0.5 }),
    dots("dominated", of("dominated"), palette.dim, palette, { symbolSize: 8, opacity: 0.75 }),
    {
      id: "steps",
      type: "line",
      step: "end",
      silent: true,
      symbol: "none",
      lineStyle: { color: palette.accent, width: 1.5, opacity: 0.7 },
      data: steps.map(({ x, y }) => [x, y]),
      z: 3,
    },
    dots("front", of("front"), palette.accent, palette, { symbolSize: 11, z: 4 }),
    {
      id: "reference",
      type: "scatter",
      symbol: "diamond",
      symbolSize: 15,
      itemStyle: { color: palette.text },
      label: label("reference", palette.text),
      data: reference ? [{ value: [reference.x, reference.y] }] : [],
      z: 4,
    },
    rings(scene, palette),
  ];
}

/** Trials as dots: filled within the constraints, hollow outside. */
function dots(id: string, points: DrawnTrial[], colour: string, { surface }: Palette, look: Record<string, unknown>) {
  const { opacity = 1, ...rest } = look;
  return {
    id,
    type: "scatter",
    cursor: "pointer",
    data: points.map(({ x, y, trial, isWithin }) => ({
      value: [x, y],
      // The number alone: the library copies each item deeply, again and again.
      trial: trial.trial,
      itemStyle: { color: isWithin ? colour : surface, borderColor: colour, borderWidth: isWithin ? 0 : 1.5, opacity },
    })),
    emphasis: { scale: 1.3 },
    z: 2,
    ...rest,
  };
}

/** Rings around what is named: the chosen trial, the knee and the selected one. */
function rings({ points, chosen, selected }: Scene, palette: Palette) {
  const data = points.flatMap(({ x, y, trial }) => {
    const isSelected = trial.trial === selected;
    const names = [trial.trial === chosen && "chosen", trial.is_knee && "knee"].filter(Boolean).join(", ");
    if (!isSelected && !names) return [];
    const colour = isSelected ? palette.text : palette.mark;
    return [
      {
        value: [x, y],
        symbolSize: isSelected ? 21 : 17,
        itemStyle: { color: "transparent", borderColor: colour, borderWidth: isSelected ? 2.5 : 2 },
        label: names ? label(names, palette.mark) : { show: false },
      },
    ];
  });
  return { id: "rings", type: "scatter", silent: true, data, labelLayout: insidePlot, z: 5 };
}

/** Up and to the left of a point is the one side that a staircase never runs through. */
function label(text: string, color: string) {
  return { show: true, formatter: text, position: "left", offset: [2, -11], color, fontSize: 12, fontWeight: 600 };
}

/** A label that would run out of the plot on the left goes above its point, instead of losing its first letters. */
function insidePlot({ labelRect }: { labelRect: { x: number } }) {
  const missing = PLOT_LEFT - labelRect.x;
  return missing > 0 ? { dx: missing, dy: -6 } : {};
}

function limits({ limits: all }: Scene, palette: Palette) {
  return {
    id: "limits",
    type: "scatter",
    silent: true,
    data: [],
    markLine: {
      silent: true,
      symbol: "none",
      lineStyle: { color: palette.limit, type: "dashed", width: 1.5 },
      label: { color: palette.limit, fontSize: 11 },
      data: all.map(({ along, value, label: formatter }) =>
        along === "y"
          ? { yAxis: value, label: { formatter, position: "insideEndTop" } }
          : { xAxis: value, label: { formatter, position: "insideEndTop" } },
      ),
    },
  };
}

/** The intervals of the accuracies, as whiskers with short caps. */
function whiskers(id: string, points: Drawn[], stroke: string, opacity: number) {
  const cap = 3;
  return {
    id,
    type: "custom",
    silent: true,
    clip: true,
    data: points.filter(({ low, high }) => low < high).map(({ x, low, high }) => [x, low, high]),
    encode: { x: 0, y: [1, 2] },
    z: 1,
    renderItem: (_: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI) => {
      const [x = 0, bottom = 0] = api.coord([api.value(0), api.value(1)]);
      const [, top = 0] = api.coord([api.value(0), api.value(2)]);
      const line = (x1: number, y1: number, x2: number, y2: number) => ({
        type: "line" as const,
        shape: { x1, y1, x2, y2 },
        style: { stroke, opacity, lineWidth: 1 },
      });
      return {
        type: "group" as const,
        children: [
          line(x, bottom, x, top),
          line(x - cap, bottom, x + cap, bottom),
          line(x - cap, top, x + cap, top),
        ],
      };
    },
  };
}
