import type { JobState } from "../api/types";
import { setQuery } from "../routing/place";

const STATES: JobState[] = ["queued", "running", "paused", "cancelling", "succeeded", "failed", "cancelled"];

export function StateFilter({ state }: { state: string | undefined }) {
  return (
    <label className="field">
      State
      <select value={state ?? ""} onChange={(event) => setQuery({ state: event.target.value || null })}>
        <option value="">all</option>
        {STATES.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}
