import type { CustomSeriesRenderItemAPI, CustomSeriesRenderItemParams } from "echarts/types/dist/shared";
import type { Palette } from "../charts/palette";
import { isEmpty } from "../pick/ranges";
import type { Drawn, DrawnTrial } from "./drawn";
import { rampOf } from "./ramp";
import type { Scene } from "./scene";

/** Beyond so many, the intervals of what is not on the front are a curtain before it. */
const DIM_WHISKERS = 150;

/** Where the plot begins, in pixels from the left: what the axis and its name take up. */
const PLOT_LEFT = 66;

/** How much of a point outside the brush is left. */
const UNPICKED = 0.12;

/** The layers of the chart, from the back to the front. */
export function seriesOf(scene: Scene, palette: Palette) {
  const { points, steps, reference } = scene;
  const of = (kind: DrawnTrial["kind"]) => points.filter((point) => point.kind === kind);
  const dim = [...of("dominated"), ...of("undeployed")].filter(({ trial }) => scene.isPicked(trial));
  const hue = hueOf(scene, palette);
  return [
    limits(scene, palette),
    whiskers("whiskers-dim", dim.length <= DIM_WHISKERS ? dim : [], palette.dim, 0.3),
    whiskers("whiskers-front", of("front"), palette.accent, 0.5),
    whiskers("whisker-reference", reference ? [reference] : [], palette.text, 0.55),
    dots("undeployed", of("undeployed"), scene, palette, () => palette.dim, { symbol: "triangle", symbolSize: 8, opacity: 0.5 }),
    dots("dominated", of("dominated"), scene, palette, (point) => hue(point, palette.dim), { symbolSize: 8, opacity: 0.6 }),
    {
      id: "steps",
      type: "line",
      step: "end",
      silent: true,
      symbol: "none",
      lineStyle: { color: palette.accent, width: 1.5, opacity: 0.7 },
      data: steps.map(({ x, y }) => [x.value, y.value]),
      z: 3,
    },
    dots("front", of("front"), scene, palette, (point) => hue(point, palette.accent), { symbolSize: 12, z: 4, rim: palette.text }),
    {
      id: "reference",
      type: "scatter",
      symbol: "diamond",
      symbolSize: 15,
      itemStyle: { color: palette.text },
      label: label("reference", palette.text),
      labelLayout: insidePlot,
      data: reference ? [{ value: [reference.x.value, reference.y.value] }] : [],
      z: 4,
    },
    rings(scene, palette),
  ];
}

/** The colour of a point: its third value where there is one, else a plain one. */
function hueOf({ points }: Scene, { ramp: stops }: Palette) {
  const ramp = rampOf(points.flatMap(({ hue }) => hue ?? []), stops);
  return ({ hue }: DrawnTrial, plain: string) => (ramp && hue !== undefined ? ramp.colour(hue) : plain);
}

interface Look {
  opacity?: number;
  /** The colour of the line around a filled point. */
  rim?: string;
  [other: string]: unknown;
}

/** Trials as dots: filled within the constraints, hollow outside, faint outside of the brush. */
function dots(
  id: string,
  points: DrawnTrial[],
  { isPicked }: Scene,
  { surface }: Palette,
  colourOf: (point: DrawnTrial) => string,
  { opacity = 1, rim, ...look }: Look,
) {
  return {
    id,
    type: "scatter",
    cursor: "pointer",
    data: points.map((point) => {
      const { x, y, trial, isWithin } = point;
      const colour = colourOf(point);
      const filled = { color: colour, borderColor: rim ?? colour, borderWidth: rim ? 1 : 0 };
      const hollow = { color: surface, borderColor: colour, borderWidth: 2 };
      return {
        value: [x.value, y.value],
        // The number alone: the library copies each item deeply, again and again.
        trial: trial.trial,
        itemStyle: { ...(isWithin ? filled : hollow), opacity: isPicked(trial) ? opacity : UNPICKED },
      };
    }),
    emphasis: { scale: 1.3 },
    z: 2,
    ...look,
  };
}

/** Rings around what is named: the chosen trial, the knee, the marked ones and the selected one. */
function rings({ points, chosen, selected, marked }: Scene, palette: Palette) {
  const data = points.flatMap(({ x, y, trial }) => {
    const isSelected = trial.trial === selected;
    const isMarked = marked.has(trial.trial);
    const names = [trial.trial === chosen && "chosen", trial.is_knee && "knee", isMarked && `#${trial.trial}`];
    const text = names.filter(Boolean).join(", ");
    if (!isSelected && !text) return [];
    const colour = isSelected ? palette.text : palette.mark;
    return [
      {
        value: [x.value, y.value],
        symbolSize: isSelected ? 22 : 18,
        itemStyle: { color: "transparent", borderColor: colour, borderWidth: isSelected ? 2.5 : 2 },
        label: text ? label(text, palette.mark) : { show: false },
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

/** The constraints as lines, and what is brushed as a rectangle. */
function limits({ limits: all, ranges, axes }: Scene, palette: Palette) {
  const [across, up] = [ranges[axes.x], ranges[axes.y]];
  const corner = (end: 0 | 1) => ({
    ...(across && { xAxis: across[end] }),
    ...(up && { yAxis: up[end] }),
  });
  return {
    id: "limits",
    type: "scatter",
    silent: true,
    data: [],
    markArea: {
      silent: true,
      itemStyle: { color: palette.accent, opacity: 0.08, borderColor: palette.accent, borderWidth: 1, borderType: "solid" },
      data: !isEmpty(ranges) && (across || up) ? [[corner(0), corner(1)]] : [],
    },
    markLine: {
      silent: true,
      symbol: "none",
      lineStyle: { color: palette.limit, type: "dashed", width: 1.5 },
      label: { color: palette.limit, fontSize: 11 },
      data: all.map(({ along, value, label: formatter }) =>
        along === "y"
          ? { yAxis: value, label: { formatter, position: "insideStartTop" } }
          : { xAxis: value, label: { formatter, position: "insideEndTop" } },
      ),
    },
  };
}

/** The intervals of both values, as whiskers with short caps. */
function whiskers(id: string, points: Drawn[], stroke: string, opacity: number) {
  const cap = 3;
  const hasExtent = ({ x, y }: Drawn) => x.low < x.high || y.low < y.high;
  return {
    id,
    type: "custom",
    silent: true,
    clip: true,
    data: points.filter(hasExtent).map(({ x, y }) => [x.value, y.value, x.low, x.high, y.low, y.high]),
    encode: { x: [0, 2, 3], y: [1, 4, 5] },
    z: 1,
    renderItem: (_: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI) => {
      const at = (across: number, up: number) => api.coord([api.value(across), api.value(up)]) as [number, number];
      const [x, bottom] = at(0, 4);
      const [, top] = at(0, 5);
      const [left, y] = at(2, 1);
      const [right] = at(3, 1);
      const line = (x1: number, y1: number, x2: number, y2: number) => ({
        type: "line" as const,
        shape: { x1, y1, x2, y2 },
        style: { stroke, opacity, lineWidth: 1 },
      });
      const vertical = [line(x, bottom, x, top), line(x - cap, bottom, x + cap, bottom), line(x - cap, top, x + cap, top)];
      const across = [line(left, y, right, y), line(left, y - cap, left, y + cap), line(right, y - cap, right, y + cap)];
      // An interval that a dot covers would only be a smudge on it.
      const children = [...(bottom - top > 1 ? vertical : []), ...(right - left > 1 ? across : [])];
      return { type: "group" as const, children };
    },
  };
}
