import type { JobState } from "../api/types";
import { useTargets, useWorkloads } from "../api/queries";
import { setQuery } from "../routing/place";
import { ORDERS, orderOf } from "./order";

const STATES: JobState[] = ["queued", "running", "paused", "cancelling", "succeeded", "failed", "cancelled"];

/** Which jobs are listed, and in which order; the address remembers. */
export function JobFilters({ query }: { query: URLSearchParams }) {
  const workloads = useWorkloads().data?.items.map(({ name }) => name) ?? [];
  const targets = useTargets().data?.items.map(({ name }) => name) ?? [];
  return (
    <search className="filters">
      <label className="field">
        Find
        <input
          type="search"
          placeholder="name, id, sampler …"
          defaultValue={query.get("find") ?? ""}
          onChange={(event) => setQuery({ find: event.target.value || null })}
        />
      </label>
      <Choice label="State" name="state" choices={STATES} query={query} />
      <Choice label="Workload" name="workload" choices={workloads} query={query} />
      <Choice label="Target" name="target" choices={targets} query={query} />
      <label className="field">
        Sort by
        <select value={orderOf(query)} onChange={(event) => setQuery({ sort: event.target.value === "newest" ? null : event.target.value })}>
          {ORDERS.map((order) => (
            <option key={order}>{order}</option>
          ))}
        </select>
      </label>
    </search>
  );
}

interface ChoiceProps {
  label: string;
  name: string;
  choices: string[];
  query: URLSearchParams;
}

function Choice({ label, name, choices, query }: ChoiceProps) {
  const value = query.get(name) ?? "";
  const all = value && !choices.includes(value) ? [value, ...choices] : choices;
  return (
    <label className="field">
      {label}
      <select value={value} onChange={(event) => setQuery({ [name]: event.target.value || null })}>
        <option value="">all</option>
        {all.map((choice) => (
          <option key={choice}>{choice}</option>
        ))}
      </select>
    </label>
  );
}
