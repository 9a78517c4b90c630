import { metricTitle } from "../format/metrics";
import { fromTyped, toTyped, unitOf } from "../format/units";
import type { Axis } from "../front/axes";
import type { Selection } from "./selection";

/** The brushed ranges as number fields: what a mouse does on the charts, for the keyboard and for exact ends. */
export function BrushFields({ axes, selection: { ranges, brush } }: { axes: Axis[]; selection: Selection }) {
  return (
    <div className="brush-fields">
      {axes.map((axis) => {
        const range = ranges[axis];
        const change = (end: 0 | 1) => (text: string) => {
          const value = fromTyped(axis, text);
          const [low, high] = range ?? [-OPEN, OPEN];
          const next: [number, number] = end === 0 ? [value ?? -OPEN, high] : [low, value ?? OPEN];
          const isOpen = next[0] === -OPEN && next[1] === OPEN;
          brush({ [axis]: isOpen || next[0] > next[1] ? null : next });
        };
        return (
          <fieldset key={axis}>
            <legend>
              {metricTitle(axis)}, {unitOf(axis).name}
            </legend>
            <End label={`${metricTitle(axis)} from`} axis={axis} value={range?.[0]} onChange={change(0)} />
            <span aria-hidden="true">to</span>
            <End label={`${metricTitle(axis)} to`} axis={axis} value={range?.[1]} onChange={change(1)} />
          </fieldset>
        );
      })}
    </div>
  );
}

/** Stands for no limit at all; an address cannot hold infinity. */
const OPEN = 1e15;

interface EndProps {
  label: string;
  axis: Axis;
  value: number | undefined;
  onChange: (text: string) => void;
}

function End({ label, axis, value, onChange }: EndProps) {
  const isSet = value !== undefined && Math.abs(value) < OPEN;
  return (
    <input
      type="number"
      aria-label={label}
      step="any"
      key={value}
      defaultValue={isSet ? toTyped(axis, value) : ""}
      onBlur={(event) => onChange(event.target.value)}
      onKeyDown={(event) => event.key === "Enter" && onChange(event.currentTarget.value)}
    />
  );
}
