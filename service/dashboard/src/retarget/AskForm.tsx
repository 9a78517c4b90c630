import { useState } from "react";
import { useRetarget, useTargets } from "../api/queries";
import type { Job } from "../api/types";
import { ProblemNotice } from "../parts/Notice";
import { setQuery } from "../routing/place";

/** Asks for a job's trials to be scored on another target. */
export function AskForm({ job }: { job: Job }) {
  const targets = useTargets();
  const others = (targets.data?.items ?? []).filter(({ name }) => name !== job.spec.target);
  const [wanted, setTarget] = useState<string | null>(null);
  const [trials, setTrials] = useState<"front" | "all">("front");
  const retarget = useRetarget(job.id);
  const target = others.find(({ name }) => name === wanted) ?? others[0];
  return (
    <form
      className="card retarget-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (target) retarget.mutate({ target: target.name, trials }, { onSuccess: ({ id }) => setQuery({ with: id }) });
      }}
    >
      <label className="field">
        Target
        <select value={target?.name ?? ""} onChange={(event) => setTarget(event.target.value)}>
          {others.map(({ name, kind }) => (
            <option key={name} value={name}>
              {name} ({kind})
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        Trials
        <select value={trials} onChange={(event) => setTrials(event.target.value as "front" | "all")}>
          <option value="front">the front's</option>
          <option value="all">all that completed</option>
        </select>
      </label>
      <button type="submit" className="primary" disabled={!target || retarget.isPending}>
        Score them there
      </button>
      <p className="note">
        {target && `${target.name}: ${target.description}. `}
        Nothing is trained: the same files are scored again, and a trial that the target cannot run is
        said to be infeasible. {trials === "front" && "A trial that is dominated here may be on the front there; all shows it."}
      </p>
      {retarget.error && <ProblemNotice error={retarget.error} />}
    </form>
  );
}
