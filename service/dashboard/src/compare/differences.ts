import type { LayerPolicy, Metric, Trial } from "../api/types";
import { metricTitle, quantity } from "../format/metrics";
import { percent, share } from "../format/numbers";
import { AXES, isMaximised } from "../front/axes";
import { describeRecovery, describeStudent } from "../trials/PolicyFacts";

/** One line of a comparison: a value for each trial, as text. */
export interface Line {
  group: "Metrics" | "Policy" | "Layers";
  name: string;
  values: string[];
  differs: boolean;
  /** Index of the trial with the best value, where one is better than all others. */
  best: number | null;
}

/** Everything that can differ between trials, in one order: metrics, policy, layers. */
export function linesOf(trials: Trial[]): Line[] {
  return [...metricLines(trials), ...policyLines(trials), ...layerLines(trials)];
}

function metricLines(trials: Trial[]): Line[] {
  return AXES.filter((name) => trials.some(({ metrics }) => metrics[name])).map((name) => {
    const metrics = trials.map((trial) => trial.metrics[name]);
    const numbers = metrics.map((metric) => metric?.value);
    return { ...line("Metrics", metricTitle(name), metrics.map((metric) => withInterval(name, metric))), best: bestOf(numbers, isMaximised(name)) };
  });
}

function withInterval(name: string, metric: Metric | undefined): string {
  if (!metric) return "–";
  const { value, low, high } = metric;
  const interval = name === "accuracy" && low != null && high != null ? ` (${percent(low, 1)} to ${percent(high, 1)})` : "";
  return quantity(name, value) + interval;
}

function bestOf(numbers: (number | undefined)[], isMore: boolean): number | null {
  if (numbers.some((number) => number === undefined)) return null;
  const known = numbers as number[];
  const top = isMore ? Math.max(...known) : Math.min(...known);
  return known.filter((number) => number === top).length === 1 ? known.indexOf(top) : null;
}

function policyLines(trials: Trial[]): Line[] {
  const of = (name: string, value: (trial: Trial) => string) => line("Policy", name, trials.map(value));
  return [
    of("State", ({ state }) => state),
    of("Origin", ({ origin }) => origin),
    of("Student", ({ policy }) => (policy.student ? describeStudent(policy.student) : "the model itself")),
    of("Recovery", ({ policy }) => (policy.recovery ? describeRecovery(policy.recovery) : "none")),
  ];
}

function layerLines(trials: Trial[]): Line[] {
  const names = new Set(trials.flatMap(({ executed_as }) => Object.keys(executed_as)));
  for (const { policy } of trials) for (const name of Object.keys(policy.layers)) names.add(name);
  return [...names].map((name) =>
    line("Layers", name, trials.map((trial) => layerText(trial.policy.layers[name], trial.executed_as[name]))),
  );
}

/** A layer in a few words: 25 % channel, W8 A8 static, runs as int8. */
export function layerText(layer: LayerPolicy | undefined, executedAs: string | undefined): string {
  const { prune, weight, activation } = layer ?? {};
  const bits = [weight && `W${weight.bits}`, activation && `A${activation.bits}`, activation?.mode];
  const parts = [
    prune && prune.ratio > 0 && `${share(prune.ratio)} ${prune.granularity} pruned`,
    bits.filter(Boolean).join(" "),
    executedAs && `runs as ${executedAs}`,
  ];
  return parts.filter(Boolean).join(", ") || "–";
}

function line(group: Line["group"], name: string, values: string[]): Line {
  return { group, name, values, differs: new Set(values).size > 1, best: null };
}
