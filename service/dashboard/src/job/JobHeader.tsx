import type { HypervolumePoint, Job } from "../api/types";
import { HYPERVOLUME } from "../format/metrics";
import { significant } from "../format/numbers";
import { duration } from "../format/time";
import { Age } from "../parts/Age";
import { Heading } from "../parts/Heading";
import { StateBadge } from "../parts/StateBadge";
import { TrialProgress } from "../parts/TrialProgress";
import { HypervolumeTrace } from "./HypervolumeTrace";
import { JobActions } from "./JobActions";
import { SpecFacts } from "./SpecFacts";

export function JobHeader({ job, trace }: { job: Job; trace: HypervolumePoint[] | undefined }) {
  const { trials, hypervolume, elapsed_s, expected_s } = job.progress;
  const left = expected_s === null ? null : expected_s - elapsed_s;
  const title = `${job.spec.workload} on ${job.spec.target}`;
  return (
    <header className="job-header">
      <div className="title-row">
        <Heading title={`${trials.done}/${trials.total} ${title}`}>{title}</Heading>
        <StateBadge state={job.state} testId="job-state" />
        <JobActions job={job} />
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
            <dd className="number">{left === null ? "not known yet" : `about ${duration(Math.max(left, 1))}`}</dd>
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
