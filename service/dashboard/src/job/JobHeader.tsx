import { isFinal } from "../api/lifecycle";
import { hasPath, useOpenApi } from "../api/openapi";
import type { HypervolumePoint, Job } from "../api/types";
import { HYPERVOLUME } from "../format/metrics";
import { significant } from "../format/numbers";
import { duration } from "../format/time";
import { href } from "../routing/place";
import type { Remaining } from "../progress/eta";
import { Age } from "../parts/Age";
import { Heading } from "../parts/Heading";
import { StateBadge } from "../parts/StateBadge";
import { TrialProgress } from "../parts/TrialProgress";
import { HypervolumeTrace } from "./HypervolumeTrace";
import { JobActions } from "./JobActions";
import { SpecFacts } from "./SpecFacts";

interface Props {
  job: Job;
  left: Remaining | null;
  trace: HypervolumePoint[] | undefined;
}

export function JobHeader({ job, left, trace }: Props) {
  const { trials, hypervolume, elapsed_s } = job.progress;
  // What is no search itself has no trials of its own.
  const canRetarget = hasPath(useOpenApi().data, "/api/v1/jobs/{job_id}/retarget") && isFinal(job.state) && !job.source;
  const title = `${job.spec.workload} on ${job.spec.target}`;
  return (
    <header className="job-header">
      <div className="title-row">
        <Heading title={`${trials.done}/${trials.total} ${title}`}>{title}</Heading>
        <StateBadge state={job.state} testId="job-state" />
        <div className="actions">
          <JobActions job={job} />
          <a className="button" href={href(["jobs", job.id, "choose"])}>
            Choose a point
          </a>
          {canRetarget && (
            <a className="button" href={href(["jobs", job.id, "retarget"])}>
              Another target
            </a>
          )}
          {!job.source && (
            <a className="button" href={href(["new"], new URLSearchParams({ from: job.id }))}>
              Duplicate
            </a>
          )}
        </div>
      </div>
      {job.reason && (
        <p className="notice" data-tone={job.state === "failed" ? "bad" : "calm"}>
          {job.reason}
        </p>
      )}
      <dl className="stats">
        <div>
          <dt>Trials</dt>
          <dd>
            <TrialProgress trials={trials} />
          </dd>
        </div>
        <div>
          <dt>{job.ended_at ? "Took" : "Elapsed"}</dt>
          <dd className="number">{duration(elapsed_s)}</dd>
        </div>
        {job.state === "running" && (
          <div>
            <dt>Time left</dt>
            <dd className="number">{left === null ? "not known yet" : <TimeLeft left={left} />}</dd>
          </div>
        )}
        <div>
          <dt title={HYPERVOLUME}>Hypervolume</dt>
          <dd className="number with-trace">
            <span data-testid="hypervolume">{significant(hypervolume)}</span>
            {trace && <HypervolumeTrace items={trace} />}
          </dd>
        </div>
        <div>
          <dt>Submitted</dt>
          <dd>
            <Age moment={job.created_at} />
          </dd>
        </div>
        {job.attempt > 1 && (
          <div>
            <dt>Attempt</dt>
            <dd className="number">{job.attempt}</dd>
          </div>
        )}
      </dl>
      <SpecFacts job={job} />
    </header>
  );
}

/** The expectation, and between which ends it will probably lie. */
function TimeLeft({ left: { seconds, low, high } }: { left: Remaining }) {
  return (
    <span data-testid="time-left">
      about {duration(Math.max(seconds, 1))}
      {high > low && (
        <span className="beside">
          {duration(Math.max(low, 1))} to {duration(high)}
        </span>
      )}
    </span>
  );
}
