import { useMemo } from "react";
import { useJobEvents } from "../api/events";
import { isFinal } from "../api/lifecycle";
import { hasPath, useOpenApi } from "../api/openapi";
import { hasMany, useFront, useHypervolume, useTrial, useTrials } from "../api/queries";
import type { Job, Trial } from "../api/types";
import { FrontPanel } from "../front/FrontPanel";
import { ParallelPanel } from "../parallel/ParallelPanel";
import { Loading, ProblemNotice } from "../parts/Notice";
import { PickedBar } from "../pick/PickedBar";
import { isEmpty, isInside } from "../pick/ranges";
import { useSelection } from "../pick/selection";
import { remaining } from "../progress/eta";
import { EventLog } from "../progress/EventLog";
import { HypervolumePanel } from "../progress/HypervolumePanel";
import { SensitivityPanel } from "../sensitivity/SensitivityPanel";
import { TrialDetail } from "../trials/TrialDetail";
import { TrialPanel } from "../trials/TrialPanel";
import { JobHeader } from "./JobHeader";
import { Outcome } from "./Outcome";

const NO_TRIALS: Trial[] = [];

/** A job that is known: its header, and every view of its trials under one selection. */
export function JobView({ job, query }: { job: Job; query: URLSearchParams }) {
  const isLive = !isFinal(job.state);
  const isStreaming = useJobEvents(job.id, isLive);
  // Under an open stream, polling is only there for an event that got lost.
  const poll = isLive && (isStreaming ? 30_000 : 5_000);
  const front = useFront(job.id, poll);
  // One after another: the front is small and seen first, and a server shares its time among what is asked at once.
  const trials = useTrials(job, poll, front.isFetched);
  const hypervolume = useHypervolume(job.id, poll, trials.isFetched);
  const selection = useSelection(query);
  const api = useOpenApi();

  // The front is a small answer: it is drawn while all the trials are still on their way.
  const onFront = front.data?.trials ?? NO_TRIALS;
  const all = useMemo(() => (trials.data ? withTies(trials.data, onFront) : onFront), [trials.data, onFront]);
  const reference = front.data?.reference.metrics ?? null;
  const chosen = front.data?.chosen ?? null;
  const shown = selection.trial ?? chosen;
  const listed = useMemo(() => all.find(({ trial }) => trial === shown), [all, shown]);
  const whole = useTrial(job.id, hasMany(job) ? shown : null);
  const shownOnFront = front.data?.trials.find(({ trial }) => trial === shown);
  const shownTrial = hasMany(job) ? (whole.data ?? shownOnFront ?? listed) : listed;
  const { ranges } = selection;
  const picked = useMemo(
    () => (isEmpty(ranges) ? all.length : all.filter((trial) => isInside(trial, ranges)).length),
    [all, ranges],
  );

  const shared = { trials: all, reference, chosen, selection, query };

  return (
    <>
      <JobHeader job={job} left={remaining(job, all)} trace={hypervolume.data?.items} />
      {front.data && <Outcome job={job} front={front.data} onSelect={selection.select} />}
      {trials.error && <ProblemNotice error={trials.error} />}
      {!trials.data && !front.data && !trials.error && <Loading what="the trials" />}
      {(trials.data || front.data) && (
        <>
          <div className="job-columns">
            <FrontPanel job={job} {...shared} />
            <TrialDetail job={job} trial={shownTrial} onFront={shownOnFront} reference={reference} chosen={chosen} />
          </div>
          <PickedBar job={job.id} picked={picked} selection={selection} />
          <div className="job-columns">
            <ParallelPanel spec={job.spec} trials={all} selection={selection} query={query} />
            <HypervolumePanel items={hypervolume.data?.items} query={query} />
          </div>
          {trials.data ? <TrialPanel job={job.id} {...shared} /> : <Loading what="all trials" />}
          {hasPath(api.data, "/api/v1/jobs/{job_id}/profile") && (
            <SensitivityPanel job={job.id} isAsked={job.spec.sampler === "guided"} />
          )}
          <EventLog job={job.id} poll={poll} onSelect={selection.select} />
        </>
      )}
    </>
  );
}

/** The trials, those on the front as the front has them: it alone knows which of them are within noise. */
function withTies(trials: Trial[], front: Trial[]): Trial[] {
  const ties = new Map(front.map(({ trial, tied_with }) => [trial, tied_with ?? []]));
  return trials.map((trial) => {
    const others = ties.get(trial.trial) ?? [];
    return others.length > 0 ? { ...trial, tied_with: others } : trial;
  });
}
