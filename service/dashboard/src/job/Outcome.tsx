import { isFinal } from "../api/lifecycle";
import { recipeUrl } from "../api/queries";
import type { Front, Job } from "../api/types";
import { excess, metricLabel } from "../format/metrics";
import { points, times } from "../format/numbers";
import { OptimismNote } from "../trials/OptimismNote";
import { accuracyDrop } from "../trials/drop";

interface Props {
  job: Job;
  front: Front;
  onSelect: (trial: number) => void;
}

/** The answer in one sentence: what the chosen trial gives, or what stood in the way. */
export function Outcome({ job, front, onSelect }: Props) {
  const chosen = front.trials.find(({ trial }) => trial === front.chosen);
  if (!chosen) return null;

  const { latency_ms, size_bytes } = chosen.metrics;
  const drop = accuracyDrop(chosen, front.reference.metrics);
  const gains = [
    latency_ms?.speedup != null && `${times(latency_ms.speedup)} as fast`,
    size_bytes?.ratio != null && `${times(size_bytes.ratio)} smaller`,
    drop !== undefined && (drop > 0 ? `${points(drop)} points less accurate` : `${points(-drop)} points more accurate`),
  ].filter(Boolean);
  const broken = Object.entries(chosen.violates);
  const isMissed = broken.length > 0;

  return (
    <section className="outcome" data-tone={isMissed || front.optimism?.holds === false ? "warn" : "good"} aria-label="Outcome">
      <div>
      <p>
        {isMissed
          ? `No trial meets the constraints${isFinal(job.state) ? "" : " yet"}; the nearest is `
          : `${isFinal(job.state) ? "Chosen" : "Best so far"}: `}
        <button type="button" className="link" onClick={() => onSelect(chosen.trial)}>
          trial {chosen.trial}
        </button>
        {gains.length > 0 && <>, {gains.join(", ")}</>}
        {isMissed && <>. It exceeds {broken.map(([metric, value]) => excess(metric, value)).join(", ")}</>}.
        {isMissed && front.constraint_binding && <> What binds is the {metricLabel(front.constraint_binding)}.</>}
      </p>
      {front.optimism && <OptimismNote optimism={front.optimism} />}
      </div>
      <a className="button" href={recipeUrl(job.id, chosen.trial)} download>
        Recipe
      </a>
    </section>
  );
}
