import type { LayerPolicy, Trial } from "../api/types";
import { share } from "../format/numbers";

/** What the policy asks of each layer, beside what the layer really runs as. */
export function LayerTable({ trial: { policy, executed_as } }: { trial: Trial }) {
  // The deployed graph is read in execution order; a policy is sorted by name.
  const names = [...new Set([...Object.keys(executed_as), ...Object.keys(policy.layers)])];
  if (names.length === 0) return null;
  return (
    <div className="scroll layers" role="region" aria-label="Layers" tabIndex={0}>
      <table>
        <caption className="unseen">Layers of the trial</caption>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col" className="number">Pruned</th>
            <th scope="col" className="number">Weight</th>
            <th scope="col" className="number">Activation</th>
            <th scope="col">Runs as</th>
          </tr>
        </thead>
        <tbody>
          {names.map((name) => (
            <LayerRow key={name} name={name} layer={policy.layers[name] ?? {}} executedAs={executed_as[name]} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  name: string;
  layer: LayerPolicy;
  executedAs: string | undefined;
}

function LayerRow({ name, layer: { prune, weight, activation }, executedAs }: RowProps) {
  return (
    <tr>
      <th scope="row">
        <code>{name}</code>
      </th>
      <td className="number" title={prune ? `${prune.granularity}, by ${prune.criterion}` : undefined}>
        {prune ? share(prune.ratio) : "–"}
      </td>
      <td className="number" title={weight?.granularity && `a scale for each ${weight.granularity}`}>
        {weight ? `${weight.bits} bit` : "–"}
      </td>
      <td className="number" title={activation?.mode}>
        {activation ? `${activation.bits} bit` : "–"}
      </td>
      <td>{executedAs ? <code data-runs={executedAs}>{executedAs}</code> : "–"}</td>
    </tr>
  );
}
