interface Props<Value extends string> {
  legend: string;
  name: string;
  value: Value;
  choices: readonly (readonly [Value, string])[];
  onChange: (value: Value) => void;
}

/** A choice among few, all of them in sight. */
export function Segments<Value extends string>({ legend, name, value, choices, onChange }: Props<Value>) {
  return (
    <fieldset className="segments">
      <legend className="unseen">{legend}</legend>
      {choices.map(([choice, label]) => (
        <label key={choice}>
          <input type="radio" name={name} checked={value === choice} onChange={() => onChange(choice)} />
          {label}
        </label>
      ))}
    </fieldset>
  );
}
