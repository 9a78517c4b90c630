import type { JobSpec, Metrics, Trial } from "../api/types";
import type { XAxis } from "./axes";
import { type Drawn, drawn, type DrawnTrial, drawnTrials, staircase } from "./drawn";
import { type Limit, limitsOf } from "./limits";
import { accuracyScale, costScale, focusFloor, type Scale } from "./scale";

/** Everything that the chart draws, free of any chart library. */
export interface Scene {
  axis: XAxis;
  points: DrawnTrial[];
  steps: DrawnTrial[];
  reference: Drawn | null;
  limits: Limit[];
  x: Scale;
  y: Scale;
  chosen: number | null;
  selected: number | null;
  /** Trials without an accuracy or a cost. */
  unplaced: Trial[];
  /** How many points the focus leaves out; 0 when the whole range is shown. */
  below: number;
  /** Whether the whole range differs from the focus. */
  canFocus: boolean;
}

interface Request {
  spec: JobSpec;
  trials: Trial[];
  reference: Metrics | null;
  axis: XAxis;
  chosen: number | null;
  selected: number | null;
  isWhole: boolean;
}

/** `null` while there is nothing to place. */
export function sceneOf(request: Request): Scene | null {
  const { spec, trials, reference: metrics, axis, chosen, selected, isWhole } = request;
  const points = drawnTrials(trials, axis);
  const reference = metrics && drawn(metrics, axis);
  const everything = [...points, ...(reference ? [reference] : [])];
  if (everything.length === 0) return null;

  const limits = limitsOf(spec, axis, metrics);
  const heights = limits.filter(({ along }) => along === "y").map(({ value }) => value);
  const wholeFloor = Math.min(...everything.map(({ low }) => low), ...heights);
  const front = points.filter(({ kind }) => kind === "front");
  // What is named on the page must be in the picture, however far down it is.
  const named = points.filter(({ trial }) => trial.trial === chosen || trial.trial === selected || trial.is_knee);
  const focus = focusFloor(front.length > 0 ? front : everything, reference, heights[0]);
  const floor = Math.max(wholeFloor, Math.min(focus, ...named.map((point) => point.y)));

  const top = Math.max(...everything.map(({ high }) => high), ...heights);
  const y = accuracyScale(isWhole ? wholeFloor : floor, top);
  const inView = everything.filter((point) => point.y >= y.min);
  const placed = new Set(points.map(({ trial }) => trial));
  const widths = limits.filter(({ along }) => along === "x").map(({ value }) => value);
  return {
    axis,
    points,
    steps: staircase(points),
    reference,
    limits,
    x: costScale([...inView.map((point) => point.x), ...widths]),
    y,
    chosen,
    selected,
    unplaced: trials.filter((trial) => !placed.has(trial)),
    below: everything.length - inView.length,
    canFocus: everything.some((point) => point.y < accuracyScale(floor, top).min),
  };
}
