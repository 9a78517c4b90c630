import { isFinal } from "../api/lifecycle";
import { useFront, useJob, useRetargets } from "../api/queries";
import type { Job } from "../api/types";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { StateBadge } from "../parts/StateBadge";
import { TrialProgress } from "../parts/TrialProgress";
import { href, setQuery } from "../routing/place";
import { AskForm } from "./AskForm";
import { BothFronts } from "./BothFronts";

/** What if the same trials ran elsewhere: a finished job's trials on another target, both fronts overlaid. */
export function RetargetPage({ id, query }: { id: string; query: URLSearchParams }) {
  const job = useJob(id);
  return (
    <>
      <p className="crumbs">
        <a href={href(["jobs", id])}>{job.data ? `${job.data.spec.workload} on ${job.data.spec.target}` : `Job ${id}`}</a>
      </p>
      <div className="title-row">
        <Heading title="On another target">What if it ran on another target?</Heading>
      </div>
      {job.error && <ProblemNotice error={job.error} />}
      {job.isPending && <Loading what="the job" />}
      {job.data && <WhatIf job={job.data} query={query} />}
    </>
  );
}

function WhatIf({ job, query }: { job: Job; query: URLSearchParams }) {
  const retargets = useRetargets(job);
  const found = retargets.data ?? [];
  const wanted = query.get("with");
  const other = found.find(({ id }) => id === wanted) ?? found[0];
  if (!isFinal(job.state)) {
    return <p className="empty">The job still searches. Once it has ended, its trials can be scored on another target.</p>;
  }
  return (
    <>
      {retargets.error && <ProblemNotice error={retargets.error} />}
      <AskForm job={job} />
      {found.length > 0 && (
        <section className="card" aria-labelledby="asked-title">
          <div className="card-head">
            <h2 id="asked-title">Scored on</h2>
          </div>
          <ul className="retargets">
            {found.map((retarget) => (
              <li key={retarget.id} data-testid="retarget" data-state={retarget.state}>
                <label className="field">
                  <input
                    type="radio"
                    name="retarget"
                    checked={retarget.id === other?.id}
                    onChange={() => setQuery({ with: retarget.id })}
                  />
                  {retarget.spec.target}
                </label>
                <StateBadge state={retarget.state} />
                <TrialProgress trials={retarget.progress.trials} />
                <a href={href(["jobs", retarget.id])}>
                  Its own page<span className="unseen"> on {retarget.spec.target}</span>
                </a>
              </li>
            ))}
          </ul>
        </section>
      )}
      {other && <Both key={other.id} job={job} other={other} query={query} />}
    </>
  );
}

function Both({ job, other, query }: { job: Job; other: Job; query: URLSearchParams }) {
  const here = useFront(job.id, false);
  const there = useFront(other.id, isFinal(other.state) ? false : 2_000, other.state);
  const error = here.error ?? there.error;
  if (error) return <ProblemNotice error={error} />;
  if (!here.data || !there.data) return <Loading what="both fronts" />;
  if (there.data.trials.length === 0 && there.isPlaceholderData) return <Loading what="both fronts" />;
  if (there.data.trials.length === 0) {
    const reason = isFinal(other.state) ? (other.reason ?? "No trial runs on it.") : "Its first trials are being scored …";
    return <p className="empty">{reason}</p>;
  }
  return (
    <BothFronts
      here={{ target: job.spec.target, front: here.data }}
      there={{ target: other.spec.target, front: there.data }}
      job={job}
      other={other}
      query={query}
    />
  );
}
