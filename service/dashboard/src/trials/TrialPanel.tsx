import { useMemo } from "react";
import type { Metrics, Trial } from "../api/types";
import type { Selection } from "../job/selection";
import { setQuery } from "../routing/place";
import { TrialTable } from "./TrialTable";

interface Props {
  trials: Trial[];
  reference: Metrics | null;
  chosen: number | null;
  selection: Selection;
  query: URLSearchParams;
}

export function TrialPanel({ trials, reference, chosen, selection, query }: Props) {
  const isFrontOnly = query.get("show") === "front";
  const front = useMemo(() => trials.filter(({ on_front }) => on_front), [trials]);
  const option = (value: string | null, label: string) => (
    <label>
      <input
        type="radio"
        name="show"
        checked={isFrontOnly === (value === "front")}
        onChange={() => setQuery({ show: value })}
      />
      {label}
    </label>
  );

  return (
    <section className="card" aria-labelledby="trials-title">
      <div className="card-head">
        <h2 id="trials-title">Trials</h2>
        <fieldset className="segments">
          <legend className="unseen">Trials shown</legend>
          {option(null, `All ${trials.length}`)}
          {option("front", `Front ${front.length}`)}
        </fieldset>
      </div>
      {trials.length === 0 ? (
        <p className="empty">No trial has started yet.</p>
      ) : (
        <TrialTable
          trials={isFrontOnly ? front : trials}
          reference={reference}
          chosen={chosen}
          selection={selection}
        />
      )}
    </section>
  );
}
