import { useWorkloads } from "../api/queries";
import type { Layer, Workload } from "../api/types";
import { count, macs } from "../format/numbers";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { href } from "../routing/place";

/** The registered workloads, with their layers once a worker has read the model. */
export function WorkloadsPage() {
  const workloads = useWorkloads();
  return (
    <>
      <div className="title-row">
        <Heading title="Workloads">Workloads</Heading>
      </div>
      {workloads.error && <ProblemNotice error={workloads.error} />}
      {workloads.isPending && <Loading what="the workloads" />}
      {workloads.data?.items.map((workload) => <WorkloadCard key={workload.name} workload={workload} />)}
    </>
  );
}

function WorkloadCard({ workload: { name, layers } }: { workload: Workload }) {
  const total = (field: "macs" | "parameters") => (layers ?? []).reduce((sum, layer) => sum + layer[field], 0);
  return (
    <section className="card catalogue" aria-labelledby={`workload-${name}`} data-testid="workload">
      <div className="card-head">
        <h2 id={`workload-${name}`}>{name}</h2>
        <a className="button" href={href(["new"], new URLSearchParams({ workload: name }))}>
          New job<span className="unseen"> of {name}</span>
        </a>
      </div>
      {layers ? (
        <>
          <p>
            {layers.length} layers, {count(total("parameters"))} parameters, {macs(total("macs"))} MACs.
          </p>
          <details>
            <summary>Layers</summary>
            <LayerList layers={layers} name={name} />
          </details>
        </>
      ) : (
        <p className="note">Its layers are known once a worker has read the model, with the first job.</p>
      )}
    </section>
  );
}

function LayerList({ layers, name }: { layers: Layer[]; name: string }) {
  return (
    <div className="scroll" role="region" aria-label={`Layers of ${name}`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col">Kind</th>
            <th scope="col">Weight</th>
            <th scope="col" className="number">Parameters</th>
            <th scope="col" className="number">MACs</th>
          </tr>
        </thead>
        <tbody>
          {layers.map((layer) => (
            <tr key={layer.name}>
              <th scope="row">
                <code>{layer.name}</code>
              </th>
              <td>{layer.op}</td>
              <td>{layer.weight_shape.join(" × ")}</td>
              <td className="number">{count(layer.parameters)}</td>
              <td className="number">{macs(layer.macs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
