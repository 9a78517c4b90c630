import { metricTitle } from "../format/metrics";
import { setQuery } from "../routing/place";
import type { Axis, AxisChoice } from "./axes";
import type { Scene } from "./scene";

interface Props {
  axes: AxisChoice;
  choices: Axis[];
  scene: Scene | null;
}

/** Which metric each axis and the colour stand for, and whether an axis is logarithmic. */
export function AxisPickers({ axes, choices, scene }: Props) {
  return (
    <div className="pickers">
      <Picker label="Up" name="y" value={axes.y} choices={choices} />
      <LogBox name="ylog" axis={axes.y} isLog={scene?.y.isLog ?? false} label="Logarithmic up" />
      <Picker label="Across" name="x" value={axes.x} choices={choices} />
      <LogBox name="xlog" axis={axes.x} isLog={scene?.x.isLog ?? false} label="Logarithmic across" />
      <Picker label="Colour" name="colour" value={axes.colour ?? "none"} choices={["none", ...choices]} />
    </div>
  );
}

interface PickerProps {
  label: string;
  name: string;
  value: string;
  choices: string[];
}

function Picker({ label, name, value, choices }: PickerProps) {
  return (
    <label className="field">
      {label}
      <select value={value} onChange={(event) => setQuery({ [name]: event.target.value })}>
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {metricTitle(choice)}
          </option>
        ))}
      </select>
    </label>
  );
}

function LogBox({ name, axis, isLog, label }: { name: string; axis: Axis; isLog: boolean; label: string }) {
  // A difference may be zero or negative, which has no logarithm.
  if (axis === "accuracy_drop") return null;
  return (
    <label className="field">
      <input
        type="checkbox"
        aria-label={label}
        checked={isLog}
        onChange={(event) => setQuery({ [name]: event.target.checked ? "1" : "0" })}
      />
      log
    </label>
  );
}
