import { setQuery } from "../routing/place";

/** The columns that may be left out, by id. */
const OPTIONAL: readonly (readonly [string, string])[] = [
  ["state", "State"],
  ["origin", "Origin"],
  ["accuracy", "Accuracy"],
  ["drop", "Drop"],
  ["latency_ms", "Latency"],
  ["size_bytes", "Size"],
  ["macs", "MACs"],
  ["seconds", "Seconds"],
  ["remark", "Exceeds, reason"],
];

/** Left out until somebody asks for it. */
const HIDDEN_AT_FIRST = "seconds";

export const hiddenOf = (query: URLSearchParams): string => query.get("hide") ?? HIDDEN_AT_FIRST;

/** Which columns the table has; the address remembers. `hidden` is a list with commas between. */
export function ColumnPicker({ hidden }: { hidden: string }) {
  const ids = new Set(hidden.split(",").filter(Boolean));
  const toggle = (id: string, isShown: boolean) => {
    const next = OPTIONAL.map(([other]) => other).filter((other) => (other === id ? !isShown : ids.has(other)));
    const text = next.join(",");
    setQuery({ hide: text === HIDDEN_AT_FIRST ? null : text });
  };
  return (
    <details className="menu">
      <summary className="button">Columns</summary>
      <fieldset className="menu-box">
        <legend className="unseen">Columns shown</legend>
        {OPTIONAL.map(([id, label]) => (
          <label key={id} className="field">
            <input type="checkbox" checked={!ids.has(id)} onChange={(event) => toggle(id, event.target.checked)} />
            {label}
          </label>
        ))}
      </fieldset>
    </details>
  );
}
