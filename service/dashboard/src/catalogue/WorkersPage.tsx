import { useWorkers } from "../api/queries";
import { Age } from "../parts/Age";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { StateBadge } from "../parts/StateBadge";
import { href } from "../routing/place";

/** The workers that were heard of lately, and what each does. */
export function WorkersPage() {
  const workers = useWorkers(true);
  return (
    <>
      <Heading title="Workers">Workers</Heading>
      {workers.error && <ProblemNotice error={workers.error} />}
      {workers.isPending && <Loading what="the workers" />}
      {workers.data?.items.length === 0 && (
        <p className="empty">
          No worker was heard of: jobs wait. <code>tauten worker</code> starts one.
        </p>
      )}
      {workers.data && workers.data.items.length > 0 && (
        <div className="card scroll-x">
          <table data-testid="workers">
            <thead>
              <tr>
                <th scope="col">State</th>
                <th scope="col">Worker</th>
                <th scope="col">Takes jobs of</th>
                <th scope="col">Holds</th>
                <th scope="col">Since</th>
                <th scope="col">Last heard of</th>
              </tr>
            </thead>
            <tbody>
              {workers.data.items.map(({ id, name, state, offers, job, started_at, seen_at }) => (
                <tr key={id}>
                  <td>
                    <StateBadge state={state} />
                  </td>
                  <th scope="row">{name}</th>
                  <td>{offers.join(", ") || "every target"}</td>
                  <td>{job ? <a href={href(["jobs", job])}>{job}</a> : "–"}</td>
                  <td>
                    <Age moment={started_at} />
                  </td>
                  <td>
                    <Age moment={seen_at} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
