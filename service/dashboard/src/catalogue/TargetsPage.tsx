import { useTargets } from "../api/queries";
import type { Kernel, Target } from "../api/types";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { href } from "../routing/place";

/** The hardware targets: what can run there, and where each figure comes from. */
export function TargetsPage() {
  const targets = useTargets();
  return (
    <>
      <div className="title-row">
        <Heading title="Targets">Targets</Heading>
      </div>
      {targets.error && <ProblemNotice error={targets.error} />}
      {targets.isPending && <Loading what="the targets" />}
      {targets.data?.items.map((target) => <TargetCard key={target.name} target={target} />)}
    </>
  );
}

function TargetCard({ target }: { target: Target }) {
  const { name, kind, description, runtime, workload, channel_multiple, kernels = [], sources = {} } = target;
  return (
    <section className="card catalogue" aria-labelledby={`target-${name}`} data-testid="target">
      <div className="card-head">
        <h2 id={`target-${name}`}>{name}</h2>
        <span className="badge" data-tone={kind === "measured" ? "good" : "calm"}>
          {kind}
        </span>
        <a className="button" href={href(["new"], new URLSearchParams({ target: name }))}>
          New job<span className="unseen"> on {name}</span>
        </a>
      </div>
      <p>{description}</p>
      <dl className="facts">
        {runtime?.backend && <Fact name="Runtime" value={runtime.backend} />}
        {workload?.batch !== undefined && <Fact name="Batch" value={workload.batch} />}
        {workload?.threads !== undefined && <Fact name="Threads" value={workload.threads} />}
        {channel_multiple !== undefined && <Fact name="Channels in multiples of" value={channel_multiple} />}
      </dl>
      <details>
        <summary>What it runs: {kernels.length} kinds of kernels</summary>
        <KernelTable kernels={kernels} name={name} />
      </details>
      <details>
        <summary>Sources of its figures: {Object.keys(sources).length}</summary>
        <dl className="sources">
          {Object.entries(sources).map(([figure, source]) => (
            <div key={figure}>
              <dt>
                <code>{figure}</code>
              </dt>
              <dd>
                {source.kind}: {source.source}
              </dd>
            </div>
          ))}
        </dl>
      </details>
    </section>
  );
}

function KernelTable({ kernels, name }: { kernels: Kernel[]; name: string }) {
  return (
    <div className="scroll" role="region" aria-label={`Kernels of ${name}`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col" className="number">Weight bits</th>
            <th scope="col" className="number">Activation bits</th>
            <th scope="col">Mode</th>
            <th scope="col">Runs as</th>
          </tr>
        </thead>
        <tbody>
          {kernels.map(({ op, weight_bits, activation_bits, mode, executed_as }) => (
            <tr key={[op, weight_bits, activation_bits, mode].join()}>
              <th scope="row">{op}</th>
              <td className="number">{weight_bits}</td>
              <td className="number">{activation_bits}</td>
              <td>{mode}</td>
              <td>
                <code>{executed_as}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string | number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
