import { artifactUrl, recipeUrl } from "../api/queries";
import type { Job, Metrics, Trial } from "../api/types";
import { excess } from "../format/metrics";
import { bytes } from "../format/numbers";
import { duration } from "../format/time";
import { StateBadge } from "../parts/StateBadge";
import { href } from "../routing/place";
import { LayerTable } from "./LayerTable";
import { MetricFacts } from "./MetricFacts";
import { PolicyFacts } from "./PolicyFacts";

interface Props {
  job: Job;
  trial: Trial | undefined;
  /** The same trial as the front has it: there it carries the reading of the test split. */
  onFront: Trial | undefined;
  reference: Metrics | null;
  chosen: number | null;
}

export function TrialDetail({ job, trial, onFront, reference, chosen }: Props) {
  if (!trial) {
    return (
      <section className="card detail" aria-label="Selected trial" data-testid="trial-detail">
        <p className="empty">Select a point of the chart or a row of the table to see its policy, layer by layer.</p>
      </section>
    );
  }
  const broken = Object.entries(trial.violates).map(([metric, value]) => excess(metric, value));
  return (
    <section className="card detail" aria-labelledby="detail-title" data-testid="trial-detail" data-trial={trial.trial}>
      <div className="card-head">
        <h2 id="detail-title">Trial {trial.trial}</h2>
        <StateBadge state={trial.state} />
        {trial.on_front && <span className="tag" data-tag="front">front</span>}
        {trial.is_knee && <span className="tag" data-tag="named">knee</span>}
        {trial.trial === chosen && <span className="tag" data-tag="named">chosen</span>}
      </div>
      {trial.reason && <p className="notice" data-tone="warn">{trial.reason}</p>}
      {broken.length > 0 && <p className="notice" data-tone="warn">Outside the constraints: {broken.join(", ")}.</p>}
      <MetricFacts trial={trial} test={trial.accuracy_test ?? onFront?.accuracy_test} reference={reference} />
      <PolicyFacts policy={trial.policy} />
      <LayerTable trial={trial} />
      <p className="note">
        From {trial.origin}
        {trial.fidelity < 1 && `, at fidelity ${trial.fidelity}`}
        {trial.seconds > 0 && `, evaluated in ${duration(trial.seconds)}`}. Policy{" "}
        <code title={trial.policy_digest}>{trial.policy_digest.replace("sha256:", "").slice(0, 12)}</code>.
      </p>
      <div className="actions">
        <a className="button primary" href={href(["jobs", job.id, "trials", String(trial.trial)])}>
          Whole policy
        </a>
        {trial.state === "completed" && (
          <a className="button" href={recipeUrl(job.id, trial.trial)} download>
            Recipe
          </a>
        )}
        {trial.artifact && (
          <a className="button" href={artifactUrl(job.id, trial.trial)} download title={trial.artifact.digest}>
            Artifact, {bytes(trial.artifact.size_bytes)}
          </a>
        )}
      </div>
    </section>
  );
}
