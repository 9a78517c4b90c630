import type { Job } from "../api/types";
import { constraint, metricLabel } from "../format/metrics";
import { href } from "../routing/place";
import { duration } from "../format/time";

/** What was asked for, on one line. */
export function SpecFacts({ job }: { job: Job }) {
  const { objectives, constraints, sampler, budget, runner, seed } = job.spec;
  const bounds = Object.entries(constraints).map(([metric, bound]) => constraint(metric, bound));
  return (
    <dl className="facts">
      <Fact name="Objectives">{objectives.map(metricLabel).join(", ")}</Fact>
      <Fact name="Constraints">{bounds.join(", ") || "none"}</Fact>
      <Fact name="Sampler">{sampler}</Fact>
      <Fact name="Seed">{seed}</Fact>
      <Fact name="Runner">{runner}</Fact>
      {budget.wall_s !== null && <Fact name="Time budget">{duration(budget.wall_s)}</Fact>}
      {job.source && (
        <Fact name="Trials of">
          <a href={href(["jobs", job.source.job])}>the search on {job.source.target}</a>
        </Fact>
      )}
      <Fact name="Job">
        <code>{job.id}</code>
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
