import { useEffect, useState } from "react";
import { useJob, useTargets, useWorkloads } from "../api/queries";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { type Draft, draftOf, EMPTY } from "./draft";
import { JobForm } from "./JobForm";

/** The form for a job; with `from`, it starts from what that job asked for. */
export function NewJobPage({ query }: { query: URLSearchParams }) {
  const from = query.get("from");
  const source = useJob(from ?? "", from !== null);
  const workloads = useWorkloads();
  const targets = useTargets();
  const [draft, setDraft] = useState<Draft | null>(null);
  const workload = query.get("workload") ?? workloads.data?.items[0]?.name;
  const target = query.get("target") ?? "local-cpu";

  useEffect(() => {
    // Filled once: what comes later must not overwrite what was typed.
    if (draft) return;
    if (from !== null && source.data) setDraft(draftOf(source.data.spec));
    else if (from === null && workload) setDraft({ ...EMPTY, workload, target });
  }, [draft, from, source.data, workload, target]);

  const error = source.error ?? workloads.error ?? targets.error;
  return (
    <>
      <div className="title-row">
        <Heading title="New job">{from ? `New job, like ${from}` : "New job"}</Heading>
      </div>
      {error && <ProblemNotice error={error} />}
      {draft && workloads.data && targets.data ? (
        <JobForm draft={draft} setDraft={setDraft} workloads={workloads.data.items} targets={targets.data.items} />
      ) : (
        !error && <Loading what="what can be asked for" />
      )}
    </>
  );
}
