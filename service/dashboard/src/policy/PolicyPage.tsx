import { isFinal } from "../api/lifecycle";
import { hasPath, useOpenApi } from "../api/openapi";
import { artifactUrl, useFront, useJob, useLayerLatency, useTrial, useWorkloads } from "../api/queries";
import type { Front, Job, Trial } from "../api/types";
import { excess } from "../format/metrics";
import { bytes } from "../format/numbers";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { StateBadge } from "../parts/StateBadge";
import { href } from "../routing/place";
import { TieTag } from "../trials/TieTag";
import { PolicyFacts } from "../trials/PolicyFacts";
import { OptimismNote } from "../trials/OptimismNote";
import { HeatMap } from "./HeatMap";
import { MetricTable } from "./MetricTable";
import { RecipePanel } from "./RecipePanel";
import { reasonsFor } from "./why";

/** One trial: what it is, what it scored, why one would take it, and how it leaves. */
export function PolicyPage({ id, number }: { id: string; number: number }) {
  const job = useJob(id);
  const trial = useTrial(id, number);
  const front = useFront(id, job.data && !isFinal(job.data.state) ? 5_000 : false);
  const error = job.error ?? trial.error ?? front.error;
  return (
    <>
      <p className="crumbs">
        <a href={href(["jobs", id], new URLSearchParams({ trial: String(number) }))}>
          {job.data ? `${job.data.spec.workload} on ${job.data.spec.target}` : `Job ${id}`}
        </a>
      </p>
      {!trial.data && <Heading title={`Trial ${number}`}>Trial {number}</Heading>}
      {error && <ProblemNotice error={error} />}
      {!error && !(trial.data && job.data && front.data) && <Loading what="the trial" />}
      {trial.data && job.data && front.data && <Policy job={job.data} trial={trial.data} front={front.data} />}
    </>
  );
}

function Policy({ job, trial, front }: { job: Job; trial: Trial; front: Front }) {
  const workloads = useWorkloads();
  const canTime = hasPath(useOpenApi().data, "/api/v1/jobs/{job_id}/trials/{number}/layer-latency") && trial.artifact !== null;
  const latency = useLayerLatency(job.id, trial.trial, canTime);
  const inventory = workloads.data?.items.find(({ name }) => name === job.spec.workload)?.layers ?? null;
  const onFront = front.trials.find((member) => member.trial === trial.trial);
  const broken = Object.entries(trial.violates).map(([metric, value]) => excess(metric, value));
  return (
    <>
      <div className="title-row">
        <Heading title={`Trial ${trial.trial} of ${job.spec.workload}`}>Trial {trial.trial}</Heading>
        <StateBadge state={trial.state} />
        {trial.on_front && <span className="tag" data-tag="front">front</span>}
        {trial.is_knee && <span className="tag" data-tag="named">knee</span>}
        {trial.trial === front.chosen && <span className="tag" data-tag="named">chosen</span>}
        <TieTag trial={onFront} />
        <div className="actions">
          {trial.artifact && (
            <a className="button" href={artifactUrl(job.id, trial.trial)} download title={trial.artifact.digest}>
              Artifact, {bytes(trial.artifact.size_bytes)}
            </a>
          )}
        </div>
      </div>
      {trial.reason && <p className="notice" data-tone="warn">{trial.reason}</p>}
      {broken.length > 0 && <p className="notice" data-tone="warn">Outside the constraints: {broken.join(", ")}.</p>}
      <div className="policy-columns">
        <section className="card" aria-labelledby="metrics-title">
          <div className="card-head">
            <h2 id="metrics-title">Metrics</h2>
          </div>
          <MetricTable
            trial={trial}
            reference={front.reference.metrics}
            test={trial.accuracy_test ?? onFront?.accuracy_test}
            referenceTest={front.reference.accuracy_test}
          />
          {front.optimism?.trial === trial.trial && <OptimismNote optimism={front.optimism} />}
        </section>
        <Why job={job} trial={trial} front={front} />
      </div>
      <section className="card" aria-labelledby="layers-title">
        <div className="card-head">
          <h2 id="layers-title">Layers</h2>
          <PolicyFacts policy={trial.policy} />
        </div>
        <HeatMap
          trial={trial}
          inventory={(trial.policy.student?.family ?? "self") === "self" ? inventory : null}
          latency={canTime ? latency : null}
        />
      </section>
      {trial.artifact && <RecipePanel job={job.id} trial={trial.trial} />}
    </>
  );
}

function Why({ job, trial, front }: { job: Job; trial: Trial; front: Front }) {
  const reasons = reasonsFor(trial, front.trials, front.objectives);
  return (
    <section className="card why" aria-labelledby="why-title">
      <div className="card-head">
        <h2 id="why-title">Why this point</h2>
      </div>
      {reasons.length === 0 && <p className="empty">There is nothing to compare it with.</p>}
      <ul>
        {reasons.map(({ trial: other, text }) => (
          <li key={text}>
            {text}{" "}
            {other !== null && (
              <a href={href(["jobs", job.id, "compare"], new URLSearchParams({ trials: `${other},${trial.trial}` }))}>
                Compare<span className="unseen"> trials {other} and {trial.trial}</span>
              </a>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
