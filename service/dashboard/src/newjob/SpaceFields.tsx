import { useState } from "react";
import type { Space, Target, Workload } from "../api/types";
import { share } from "../format/numbers";
import { bitsLabel, bitsOf, withPart } from "./draft";
import { FieldGroup } from "./Field";
import { LayerOverrides } from "./LayerOverrides";

const RATIOS = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875];
const DEFAULT_RATIOS = [0, 0.25, 0.5, 0.75];

interface Props {
  space: Space | null;
  target: Target | undefined;
  workload: Workload | undefined;
  faults: { pointer: string; detail: string }[];
  onChange: (space: Space | null) => void;
}

/** The choices offered: ratios, bit-widths that the target runs, exceptions by layer; the rest as JSON. */
export function SpaceFields({ space, target, workload, faults, onChange }: Props) {
  const offered = bitsOf(target?.kernels);
  const chosen = space?.bits?.map(bitsLabel);
  const ratios = space?.prune?.ratios;
  return (
    <section className="card form-card" aria-labelledby="space-title">
      <h2 id="space-title">The space</h2>
      <FieldGroup
        label="Shares that may be pruned"
        help={ratios ? undefined : "As the service offers them; tick to choose your own."}
      >
        <div className="checks">
          {RATIOS.map((ratio) => (
            <label key={ratio} className="field">
              <input
                type="checkbox"
                checked={(ratios ?? DEFAULT_RATIOS).includes(ratio)}
                onChange={(event) => {
                  const base = ratios ?? DEFAULT_RATIOS;
                  const next = event.target.checked ? [...base, ratio].sort((a, b) => a - b) : base.filter((r) => r !== ratio);
                  onChange(withPart(space, "prune", { ...space?.prune, ratios: next }));
                }}
              />
              {share(ratio)}
            </label>
          ))}
        </div>
      </FieldGroup>
      <FieldGroup
        label={`Formats that ${target?.name ?? "the target"} runs`}
        help={chosen ? undefined : "As the service offers them by the model's kind; tick to choose your own."}
      >
        <div className="checks">
          {offered.map((choice) => {
            const label = bitsLabel(choice);
            return (
              <label key={label} className="field">
                <input
                  type="checkbox"
                  checked={chosen?.includes(label) ?? false}
                  onChange={(event) => {
                    const others = (space?.bits ?? []).filter((other) => bitsLabel(other) !== label);
                    const next = event.target.checked ? [...others, choice] : others;
                    onChange(withPart(space, "bits", next.length > 0 ? next : undefined));
                  }}
                />
                {label}
              </label>
            );
          })}
        </div>
      </FieldGroup>
      <LayerOverrides space={space} workload={workload} offered={offered} onChange={onChange} />
      {faults.length > 0 && <FieldGroup label="What is wrong with it" faults={faults}>{null}</FieldGroup>}
      <SpaceJson key={JSON.stringify(space)} space={space} onChange={onChange} />
    </section>
  );
}

/** The whole space as JSON, for what the fields above do not have: students, recovery, granularity, globs. */
function SpaceJson({ space, onChange }: Pick<Props, "space" | "onChange">) {
  const [text, setText] = useState(space === null ? "" : JSON.stringify(space, null, 2));
  const [fault, setFault] = useState<string | null>(null);
  const apply = () => {
    try {
      onChange(text.trim() === "" ? null : (JSON.parse(text) as Space));
      setFault(null);
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  return (
    <details>
      <summary>All of it as JSON: students, recovery, granularity, globs</summary>
      <textarea
        aria-label="The space as JSON"
        rows={10}
        spellCheck={false}
        value={text}
        placeholder="Empty: as the service offers it."
        onChange={(event) => setText(event.target.value)}
        onBlur={apply}
      />
      {fault && <p className="fault">This is not JSON: {fault}</p>}
    </details>
  );
}
