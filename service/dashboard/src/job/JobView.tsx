import { useMemo } from "react";
import { useJobEvents } from "../api/events";
import { isFinal } from "../api/lifecycle";
import { useFront, useHypervolume, useTrials } from "../api/queries";
import type { Job, Trial } from "../api/types";
import { FrontPanel } from "../front/FrontPanel";
import { Loading, ProblemNotice } from "../parts/Notice";
import { TrialDetail } from "../trials/TrialDetail";
import { TrialPanel } from "../trials/TrialPanel";
import { JobHeader } from "./JobHeader";
import { Outcome } from "./Outcome";
import { useSelection } from "./selection";

const NO_TRIALS: Trial[] = [];

/** A job that is known: its header, its front, its trials and the selected one. */
export function JobView({ job, query }: { job: Job; query: URLSearchParams }) {
  const isLive = !isFinal(job.state);
  const isStreaming = useJobEvents(job.id, isLive);
  // Under an open stream, polling is only there for an event that got lost.
  const poll = isLive && (isStreaming ? 30_000 : 5_000);
  const trials = useTrials(job.id, poll);
  const front = useFront(job.id, poll);
  const hypervolume = useHypervolume(job.id, poll);
  const selection = useSelection(query);

  const all = trials.data ?? NO_TRIALS;
  const reference = front.data?.reference?.metrics ?? null;
  const chosen = front.data?.chosen ?? null;
  const shown = selection.trial ?? chosen;
  const shownTrial = useMemo(() => all.find(({ trial }) => trial === shown), [all, shown]);
  const shownOnFront = front.data?.trials.find(({ trial }) => trial === shown);

  const shared = { trials: all, reference, chosen, selection, query };

  return (
    <>
      <JobHeader job={job} trace={hypervolume.data?.items} />
      {front.data && <Outcome job={job} front={front.data} onSelect={selection.select} />}
      {trials.error && <ProblemNotice error={trials.error} />}
      {trials.isPending && <Loading what="the trials" />}
      {trials.data && (
        <>
          <div className="job-columns">
            <FrontPanel job={job} {...shared} />
            <TrialDetail job={job} trial={shownTrial} onFront={shownOnFront} reference={reference} chosen={chosen} />
          </div>
          <TrialPanel {...shared} />
        </>
      )}
    </>
  );
}
