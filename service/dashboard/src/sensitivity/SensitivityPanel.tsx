import { useState } from "react";
import { Problem } from "../api/problem";
import { useProfile } from "../api/queries";
import { significant } from "../format/numbers";
import { Loading, ProblemNotice } from "../parts/Notice";
import { sensitivities } from "./bars";

/** How much the loss rises where one layer alone takes its strongest choice; read only while it is open. */
export function SensitivityPanel({ job, isAsked }: { job: string; isAsked: boolean }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="card events" onToggle={(event) => setOpen(event.currentTarget.open)} data-testid="sensitivity">
      <summary>
        <h2>Sensitivity</h2>
      </summary>
      {isOpen && (isAsked ? <Bars job={job} /> : <NoProfile />)}
    </details>
  );
}

function NoProfile() {
  return <p className="empty">No profile of this workload was taken: the job's sampler asks for none.</p>;
}

function Bars({ job }: { job: string }) {
  const profile = useProfile(job);
  if (profile.error instanceof Problem && profile.error.status === 404) {
    return <NoProfile />;
  }
  if (profile.error) return <ProblemNotice error={profile.error} />;
  if (!profile.data) return <Loading what="the profile" />;
  const rows = sensitivities(profile.data);
  const most = Math.max(...rows.flatMap(({ bits, prune }) => [bits ?? 0, prune ?? 0]), 1e-12);
  return (
    <div className="scroll" role="region" aria-label="Sensitivity of each layer" tabIndex={0}>
      <table>
        <caption className="unseen">Rise of the loss where one layer alone takes its strongest choice</caption>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col">Fewest bits</th>
            <th scope="col">Most pruned</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ layer, bits, prune }) => (
            <tr key={layer}>
              <th scope="row">
                <code>{layer}</code>
              </th>
              <Bar value={bits} most={most} />
              <Bar value={prune} most={most} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Bar({ value, most }: { value: number | null; most: number }) {
  if (value === null) return <td>–</td>;
  // beside the largest these are nothing, and more of their digits would not help to compare
  const negligible = Number((most / 1000).toPrecision(1));
  return (
    <td>
      <span className="share-bar">
        <span className="share-fill" style={{ width: `${(value / most) * 100}%` }} />
        <span className="number">{value < negligible ? `under ${negligible}` : significant(value)}</span>
      </span>
    </td>
  );
}
