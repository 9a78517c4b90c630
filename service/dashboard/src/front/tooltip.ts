import type { Trial } from "../api/types";
import { excess, gainOf, metricTitle, quantity } from "../format/metrics";
import { percent, times } from "../format/numbers";
import type { Palette } from "../charts/palette";
import type { Scene } from "./scene";

export function tooltipOf({ points }: Scene, palette: Palette) {
  const trials = new Map(points.map(({ trial }) => [trial.trial, trial]));
  return {
    trigger: "item",
    confine: true,
    backgroundColor: palette.surface,
    borderColor: palette.line,
    padding: 0,
    textStyle: { color: palette.text, fontSize: 12 },
    formatter: ({ data }: { data?: { trial?: number } }) => {
      const trial = data?.trial === undefined ? undefined : trials.get(data.trial);
      return trial ? card(trial) : referenceCard();
    },
  };
}

/** Elements and not markup: reasons come from the service and may hold any character. */
function card(trial: Trial): HTMLElement {
  const root = document.createElement("div");
  root.className = "tooltip";
  root.append(line("strong", `Trial ${trial.trial}${trial.on_front ? ", on the front" : ""}`));
  const { accuracy, latency_ms, size_bytes, macs } = trial.metrics;
  if (accuracy) {
    const hasInterval = accuracy.low != null && accuracy.high != null;
    const interval = hasInterval ? ` (${percent(accuracy.low ?? 0, 1)} to ${percent(accuracy.high ?? 0, 1)})` : "";
    root.append(line("div", `Accuracy ${percent(accuracy.value)}${interval}`));
  }
  for (const [name, metric] of Object.entries({ latency_ms, size_bytes, macs })) {
    if (!metric) continue;
    const gain = metric.speedup ?? metric.ratio;
    const suffix = gain == null ? "" : `, ${times(gain)} ${gainOf(name)}`;
    root.append(line("div", `${metricTitle(name)} ${quantity(name, metric.value)}${suffix}`));
  }
  const broken = Object.entries(trial.violates).map(([metric, value]) => excess(metric, value));
  if (broken.length > 0) root.append(line("div", `Exceeds ${broken.join(", ")}`));
  if (trial.reason) root.append(line("div", `${trial.state}: ${trial.reason}`));
  return root;
}

function referenceCard(): HTMLElement {
  const root = line("div", "The reference: the uncompressed model in the target's runtime");
  root.className = "tooltip";
  return root;
}

function line(tag: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
