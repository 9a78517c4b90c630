import type { Job } from "../api/types";
import { HYPERVOLUME } from "../format/metrics";
import { significant } from "../format/numbers";
import { Age } from "../parts/Age";
import { StateBadge } from "../parts/StateBadge";
import { TrialProgress } from "../parts/TrialProgress";
import { href } from "../routing/place";

export function JobsTable({ jobs }: { jobs: Job[] }) {
  return (
    <div className="card scroll-x">
      <table className="jobs" data-testid="jobs-table" aria-label="Jobs, newest first">
        <thead>
          <tr>
            <th scope="col">State</th>
            <th scope="col">Workload</th>
            <th scope="col">Target</th>
            <th scope="col">Trials</th>
            <th scope="col" className="number" title={HYPERVOLUME}>
              Hypervolume
            </th>
            <th scope="col" className="number">
              Submitted
            </th>
            <th scope="col">Job</th>
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
  return (
    <tr data-testid="job-row" data-job={job.id}>
      <td>
        <StateBadge state={job.state} testId="job-state" />
      </td>
      <th scope="row">
        <a className="row-link" href={href(["jobs", job.id])}>
          {job.spec.workload}
        </a>
        {job.reason && <div className="reason">{job.reason}</div>}
      </th>
      <td>{job.spec.target}</td>
      <td>
        <TrialProgress trials={job.progress.trials} />
      </td>
      <td className="number" data-testid="hypervolume">
        {significant(job.progress.hypervolume)}
      </td>
      <td className="number">
        <Age moment={job.created_at} />
      </td>
      <td>
        <code title={job.id}>{shortened(job.id)}</code>
      </td>
    </tr>
  );
}

const shortened = (id: string): string => (id.length > 14 ? `${id.slice(0, 12)}…` : id);
