import type { Bound } from "../api/types";
import { metricTitle } from "../format/metrics";
import { fromTyped, toTyped, unitOf } from "../format/units";
import { FieldGroup } from "./Field";

const CONSTRAINABLE = ["accuracy_drop", "accuracy", "latency_ms", "size_bytes", "packed_size_bytes", "peak_memory_bytes", "macs"] as const;

interface Props {
  constraints: Record<string, Bound>;
  faults: { pointer: string; detail: string }[];
  onChange: (constraints: Record<string, Bound>) => void;
}

/** Limits by metric, in the units that people use; accuracy has a lower end, all others an upper one. */
export function ConstraintFields({ constraints, faults, onChange }: Props) {
  const help = "They decide which trial is chosen, not which are kept.";
  return (
    <FieldGroup label="Constraints" help={help} faults={faults}>
      <div className="bounds">
        {CONSTRAINABLE.map((metric) => {
          const end = metric === "accuracy" ? "min" : "max";
          const value = constraints[metric]?.[end];
          return (
            <label key={metric} className="bound">
              <span>
                {metricTitle(metric)} {end === "min" ? "at least" : "at most"}
              </span>
              <input
                type="number"
                step="any"
                defaultValue={value == null ? "" : toTyped(metric, value)}
                onChange={(event) =>
                  onChange({ ...constraints, [metric]: { ...constraints[metric], [end]: fromTyped(metric, event.target.value) } })
                }
              />
              <span className="unit">{unitOf(metric).name}</span>
            </label>
          );
        })}
      </div>
    </FieldGroup>
  );
}
