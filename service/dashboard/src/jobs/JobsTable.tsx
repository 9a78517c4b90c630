import { isFinal } from "../api/lifecycle";
import { useFront, useHypervolume } from "../api/queries";
import type { Job } from "../api/types";
import { HYPERVOLUME } from "../format/metrics";
import { points, significant, times } from "../format/numbers";
import { HypervolumeTrace } from "../job/HypervolumeTrace";
import { JobActions } from "../job/JobActions";
import { Age } from "../parts/Age";
import { StateBadge } from "../parts/StateBadge";
import { TrialProgress } from "../parts/TrialProgress";
import { useSeen } from "../parts/seen";
import { href } from "../routing/place";
import { accuracyDrop } from "../trials/drop";

export function JobsTable({ jobs }: { jobs: Job[] }) {
  return (
    <div className="card scroll-x">
      <table className="jobs" data-testid="jobs-table" aria-label="Jobs">
        <thead>
          <tr>
            <th scope="col">State</th>
            <th scope="col">Workload</th>
            <th scope="col">Target</th>
            <th scope="col">Trials</th>
            <th scope="col" title={HYPERVOLUME}>
              Hypervolume
            </th>
            <th scope="col">Best within the constraints</th>
            <th scope="col" className="number">
              Submitted
            </th>
            <th scope="col">
              <span className="unseen">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <JobRow key={job.id} job={job} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function JobRow({ job }: { job: Job }) {
  const [row, isSeen] = useSeen<HTMLTableRowElement>();
  return (
    <tr ref={row} data-testid="job-row" data-job={job.id}>
      <td>
        <StateBadge state={job.state} testId="job-state" />
      </td>
      <th scope="row">
        <a className="row-link" href={href(["jobs", job.id])}>
          {job.spec.workload}
        </a>
        <div className="reason" title={job.reason ?? undefined}>
          {job.reason ?? <code>{job.id}</code>}
        </div>
      </th>
      <td>{job.spec.target}</td>
      <td>
        <TrialProgress trials={job.progress.trials} />
      </td>
      <td className="with-trace">
        <span className="number" data-testid="hypervolume">
          {significant(job.progress.hypervolume)}
        </span>
        <span className="trace-place">{isSeen && <Trace job={job} />}</span>
      </td>
      <td className="best">{isSeen && <Best job={job} />}</td>
      <td className="number">
        <Age moment={job.created_at} />
      </td>
      <td className="row-actions">
        <JobActions job={job} />
      </td>
    </tr>
  );
}

/** A live job's extras are refreshed at ease; of a finished one they never change. */
const pollOf = (job: Job) => (isFinal(job.state) ? (false as const) : 10_000);

function Trace({ job }: { job: Job }) {
  const { data } = useHypervolume(job.id, pollOf(job));
  return data ? <HypervolumeTrace items={data.items} /> : null;
}

function Best({ job }: { job: Job }) {
  const { data: front } = useFront(job.id, pollOf(job));
  const chosen = front?.trials.find(({ trial }) => trial === front.chosen);
  if (!front || !chosen) return null;
  if (!front.constraints_met) return <span className="note">none yet</span>;
  const { latency_ms, size_bytes } = chosen.metrics;
  const drop = accuracyDrop(chosen, front.reference.metrics);
  const facts = [
    latency_ms?.speedup != null && `${times(latency_ms.speedup)} as fast`,
    size_bytes?.ratio != null && `${times(size_bytes.ratio)} smaller`,
    drop !== undefined && `${points(-drop)} points`,
  ];
  return <>{facts.filter(Boolean).join(", ")}</>;
}
