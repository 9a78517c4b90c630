import { useId } from "react";
import type { Trial } from "../api/types";
import { metricTitle, quantity } from "../format/metrics";
import type { Axis } from "../front/axes";
import { stops } from "./choice";

interface Props {
  axis: Axis;
  front: Trial[];
  /** In the metric's unit; `null` is no limit. */
  limit: number | null;
  onChange: (limit: number | null) => void;
}

/** A limit that moves from one trial of the front to the next; at the right end there is none. */
export function LimitSlider({ axis, front, limit, onChange }: Props) {
  const id = useId();
  const values = stops(front, axis);
  const last = values.length;
  const at = limit === null ? last : Math.max(0, values.findLastIndex((value) => value <= limit * (1 + 1e-9) + 1e-12));
  const text = limit === null ? "any" : `≤ ${quantity(axis, limit)}`;
  return (
    <div className="slider">
      <label htmlFor={id}>{metricTitle(axis)}</label>
      <output htmlFor={id} className="number">
        {text}
      </output>
      <input
        id={id}
        type="range"
        min={0}
        max={last}
        step={1}
        value={at}
        aria-valuetext={text}
        data-testid={`slider-${axis}`}
        onChange={(event) => onChange(values[Number(event.target.value)] ?? null)}
      />
      <span className="ends number" aria-hidden="true">
        <span>{quantity(axis, values[0] ?? 0)}</span>
        <span>any</span>
      </span>
    </div>
  );
}
