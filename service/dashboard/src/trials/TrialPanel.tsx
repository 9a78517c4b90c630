import { useMemo } from "react";
import type { Metrics, Trial } from "../api/types";
import { type Axis, AXES } from "../front/axes";
import { Segments } from "../parts/Segments";
import { BrushFields } from "../pick/BrushFields";
import { isEmpty, isInside } from "../pick/ranges";
import type { Selection } from "../pick/selection";
import { setQuery } from "../routing/place";
import { ColumnPicker, hiddenOf } from "./ColumnPicker";
import { Downloads } from "./Downloads";
import { filtered, filterOf, type TrialFilter } from "./filter";
import { TrialTable } from "./TrialTable";

interface Props {
  job: string;
  trials: Trial[];
  reference: Metrics | null;
  chosen: number | null;
  selection: Selection;
  query: URLSearchParams;
}

export function TrialPanel({ job, trials, reference, chosen, selection, query }: Props) {
  const filter = useMemo(() => filterOf(query), [query]);
  const { ranges } = selection;
  const shown = useMemo(() => filtered(trials, filter, ranges), [trials, filter, ranges]);
  const counts = useMemo(() => countsOf(trials), [trials]);
  const hasRanges = !isEmpty(ranges);
  const picked = useMemo(
    () => (hasRanges ? trials.filter((trial) => isInside(trial, ranges)).length : 0),
    [trials, ranges, hasRanges],
  );
  const hidden = hiddenOf(query);
  const choices: [TrialFilter["show"], string][] = [
    ["all", `All ${trials.length}`],
    ["front", `Front ${counts.front}`],
    ["within", "Within constraints"],
    ["picked", hasRanges ? `Picked ${picked}` : "Picked"],
  ];

  return (
    <section className="card" aria-labelledby="trials-title">
      <div className="card-head">
        <h2 id="trials-title">Trials</h2>
        <Segments
          legend="Trials shown"
          name="show"
          value={filter.show}
          choices={choices}
          onChange={(show) => setQuery({ show: show === "all" ? null : show })}
        />
        <StateField filter={filter} states={counts.states} />
        <label className="field">
          Find
          <input
            type="search"
            placeholder="layer, int8, reason …"
            defaultValue={filter.text}
            onChange={(event) => setQuery({ find: event.target.value || null })}
          />
        </label>
        <details className="menu">
          <summary className="button">Ranges</summary>
          <div className="menu-box">
            <BrushFields axes={counts.axes} selection={selection} />
          </div>
        </details>
        <ColumnPicker hidden={hidden} />
        <Downloads job={job} trials={shown} />
      </div>
      {trials.length === 0 ? (
        <p className="empty">No trial has started yet.</p>
      ) : shown.length === 0 ? (
        <p className="empty">
          No trial passes these filters.{" "}
          <button type="button" className="link" onClick={() => setQuery({ show: null, state: null, find: null })}>
            Show all
          </button>
        </p>
      ) : (
        <TrialTable trials={shown} hidden={hidden} reference={reference} chosen={chosen} selection={selection} />
      )}
    </section>
  );
}

function StateField({ filter, states }: { filter: TrialFilter; states: string[] }) {
  return (
    <label className="field">
      State
      <select value={filter.state ?? ""} onChange={(event) => setQuery({ state: event.target.value || null })}>
        <option value="">all</option>
        {states.map((state) => (
          <option key={state}>{state}</option>
        ))}
      </select>
    </label>
  );
}

function countsOf(trials: Trial[]): { front: number; states: string[]; axes: Axis[] } {
  const states = new Set<string>();
  const axes = new Set<string>();
  let front = 0;
  for (const { state, on_front, metrics } of trials) {
    states.add(state);
    if (on_front) front += 1;
    for (const name of Object.keys(metrics)) axes.add(name);
  }
  return { front, states: [...states].sort(), axes: AXES.filter((axis) => axes.has(axis)) };
}
