import { usePalette } from "../charts/palette";
import { metricTitle, quantity } from "../format/metrics";
import { rampOf } from "./ramp";
import type { Scene } from "./scene";

/** The signs of the chart in words; colours are never the only difference. */
export function Legend({ scene }: { scene: Scene }) {
  return (
    <ul className="legend" aria-label="Signs of the chart">
      <li data-sign="front">large: on the front</li>
      <li data-sign="dominated">small: dominated</li>
      <li data-sign="outside">hollow: outside the constraints</li>
      <li data-sign="undeployed">not completed</li>
      <li data-sign="reference">reference</li>
      <li data-sign="named">chosen, knee</li>
      <li data-sign="limit">constraint</li>
      <li data-sign="interval">95 % interval</li>
      <RampKey scene={scene} />
    </ul>
  );
}

/** What the colours stand for, from the lowest to the highest value. */
function RampKey({ scene: { axes, points } }: { scene: Scene }) {
  const { ramp: stops } = usePalette();
  const ramp = rampOf(points.flatMap(({ hue }) => hue ?? []), stops);
  if (!axes.colour || !ramp) return null;
  return (
    <li className="ramp">
      {metricTitle(axes.colour)} {quantity(axes.colour, ramp.low)}
      <span className="ramp-bar" aria-hidden="true" />
      {quantity(axes.colour, ramp.high)}
    </li>
  );
}
