import type { Bound, Metrics, Trial } from "../api/types";
import type { Ranges } from "../pick/ranges";
import { isInside } from "../pick/ranges";
import type { AxisChoice } from "./axes";
import { type Drawn, drawn, type DrawnTrial, drawnTrials, staircase, thinned } from "./drawn";
import { type Limit, limitsOf } from "./limits";
import { accuracyScale, costScale, ends, focusFloor, type Scale } from "./scale";

/** Everything that the chart draws, free of any chart library. */
export interface Scene {
  axes: AxisChoice;
  points: DrawnTrial[];
  steps: DrawnTrial[];
  reference: Drawn | null;
  limits: Limit[];
  x: Scale;
  y: Scale;
  chosen: number | null;
  selected: number | null;
  marked: ReadonlySet<number>;
  ranges: Ranges;
  /** Whether a trial is within all brushed ranges. */
  isPicked: (trial: Trial) => boolean;
  /** Trials without a number on one of the axes. */
  unplaced: Trial[];
  /** How many placed trials are not drawn, because there are too many. */
  thinnedBy: number;
  /** How many points the focus leaves out; 0 when the whole range is shown. */
  below: number;
  /** Whether the whole range differs from the focus. */
  canFocus: boolean;
}

export interface SceneRequest {
  axes: AxisChoice;
  constraints: Record<string, Bound>;
  trials: Trial[];
  reference: Metrics | null;
  chosen: number | null;
  selected: number | null;
  marked: ReadonlySet<number>;
  ranges: Ranges;
  isWhole: boolean;
}

/** `null` while there is nothing to place. */
export function sceneOf(request: SceneRequest): Scene | null {
  const { axes, constraints, trials, reference: metrics, chosen, selected, marked, ranges, isWhole } = request;
  const all = drawnTrials(trials, axes.x, axes.y, axes.colour);
  const reference = metrics && drawn(metrics, axes.x, axes.y);
  const everything = [...all, ...(reference ? [reference] : [])];
  if (everything.length === 0) return null;

  const isNamed = ({ trial }: DrawnTrial) =>
    trial.trial === chosen || trial.trial === selected || trial.is_knee || marked.has(trial.trial);
  const limits = limitsOf(constraints, axes.x, axes.y, metrics);
  const heights = limits.filter(({ along }) => along === "y").map(({ value }) => value);
  const widths = limits.filter(({ along }) => along === "x").map(({ value }) => value);
  const { y, focused } = vertical({ axes, everything, all, reference, heights, isNamed, isWhole });
  const inView = everything.filter((point) => point.y.value >= y.min);
  const points = thinned(all, (point) => point.kind === "front" || isNamed(point));
  const placed = new Set(all.map(({ trial }) => trial));
  return {
    axes,
    points,
    steps: staircase(all, axes.x, axes.y),
    reference,
    limits,
    x: horizontal(axes, [...inView.flatMap((point) => shownEnds(point, axes.x)), ...widths]),
    y,
    chosen,
    selected,
    marked,
    ranges,
    isPicked: (trial) => isInside(trial, ranges),
    unplaced: trials.filter((trial) => !placed.has(trial)),
    thinnedBy: all.length - points.length,
    below: everything.length - inView.length,
    canFocus: focused !== null && everything.some((point) => point.y.value < focused.min),
  };
}

function horizontal({ x, xLog }: AxisChoice, values: number[]): Scale {
  if (x !== "accuracy") return costScale(values, x === "accuracy_drop" ? false : xLog);
  return xLog ? costScale(values, true) : accuracyScale(...ends(values));
}

interface Vertical {
  axes: AxisChoice;
  everything: Drawn[];
  all: DrawnTrial[];
  reference: Drawn | null;
  heights: number[];
  isNamed: (point: DrawnTrial) => boolean;
  isWhole: boolean;
}

/** The y axis, and what it would be in focus where that can differ: on accuracies. */
function vertical({ axes, everything, all, reference, heights, isNamed, isWhole }: Vertical) {
  const values = everything.flatMap((point) => shownEnds(point, axes.y, "y"));
  const [low, high] = ends([...values, ...heights]);
  if (axes.y !== "accuracy" || axes.yLog) {
    return { y: costScale([...values, ...heights], axes.y === "accuracy_drop" ? false : axes.yLog), focused: null };
  }
  const front = all.filter(({ kind }) => kind === "front");
  // What is named on the page must be in the picture, however far down it is.
  const named = all.filter(isNamed).map((point) => point.y.value);
  const focus = focusFloor(front.length > 0 ? front : everything, reference, heights[0]);
  const focused = accuracyScale(Math.max(low, Math.min(focus, ...named)), high);
  return { y: isWhole ? accuracyScale(low, high) : focused, focused };
}

/** Intervals of accuracies are wide enough to need room; those of costs are not. */
function shownEnds(point: Drawn, axis: string, side: "x" | "y" = "x"): number[] {
  const { value, low, high } = point[side];
  return axis === "accuracy" || axis === "accuracy_drop" ? [low, high] : [value];
}
