import type { Trial } from "../api/types";
import { save } from "../parts/save";
import { csvOf } from "./csv";

/** The trials that the table shows, as files. */
export function Downloads({ job, trials }: { job: string; trials: Trial[] }) {
  return (
    <div className="actions" role="group" aria-label="Save the trials shown">
      <button type="button" onClick={() => save(`${job}-trials.csv`, "text/csv", csvOf(trials))}>
        CSV
      </button>
      <button
        type="button"
        onClick={() => save(`${job}-trials.json`, "application/json", `${JSON.stringify(trials, null, 2)}\n`)}
      >
        JSON
      </button>
    </div>
  );
}
