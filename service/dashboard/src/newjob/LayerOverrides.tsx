import type { BitsChoice, Space, Workload } from "../api/types";
import { count } from "../format/numbers";
import { bitsLabel, withLayer } from "./draft";

interface Props {
  space: Space | null;
  workload: Workload | undefined;
  offered: BitsChoice[];
  onChange: (space: Space | null) => void;
}

/** Exceptions layer by layer: kept as it is, not pruned, or in one format alone. */
export function LayerOverrides({ space, workload, offered, onChange }: Props) {
  const layers = workload?.layers;
  const exceptions = space?.layers ?? {};
  const number = Object.keys(exceptions).length;
  return (
    <details className="overrides">
      <summary>Exceptions by layer{number > 0 && ` (${number})`}</summary>
      {!layers ? (
        <p className="note">The layers are known once a worker has read the model; until then, use the JSON below.</p>
      ) : (
        <div className="scroll" role="region" aria-label="Exceptions by layer" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Layer</th>
                <th scope="col">Kind</th>
                <th scope="col" className="number">Parameters</th>
                <th scope="col">Offered</th>
              </tr>
            </thead>
            <tbody>
              {layers.map(({ name, op, parameters }) => (
                <tr key={name}>
                  <th scope="row">
                    <code>{name}</code>
                  </th>
                  <td>{op}</td>
                  <td className="number">{count(parameters)}</td>
                  <td>
                    <select
                      aria-label={`Offered for ${name}`}
                      value={keyOf(exceptions[name])}
                      onChange={(event) => onChange(withLayer(space, name, exceptionOf(event.target.value, offered)))}
                    >
                      <option value="">everything</option>
                      <option value="keep">nothing: keep it</option>
                      <option value="unpruned">no pruning</option>
                      {offered.map((choice) => (
                        <option key={bitsLabel(choice)} value={bitsLabel(choice)}>
                          {bitsLabel(choice)} alone
                        </option>
                      ))}
                      {keyOf(exceptions[name]) === "other" && <option value="other">as the JSON says</option>}
                    </select>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}

const UNPRUNED = { prune: { ratios: [0] } };

function exceptionOf(key: string, offered: BitsChoice[]): unknown {
  if (key === "") return null;
  if (key === "keep") return "keep";
  if (key === "unpruned") return UNPRUNED;
  return { bits: offered.filter((choice) => bitsLabel(choice) === key) };
}

/** The menu's entry for an exception; one that is written by hand is none of them. */
function keyOf(exception: unknown): string {
  if (exception === undefined || exception === null) return "";
  if (exception === "keep") return "keep";
  const { prune, bits, ...rest } = exception as { prune?: unknown; bits?: BitsChoice[] };
  if (Object.keys(rest).length > 0) return "other";
  if (bits === undefined && JSON.stringify({ prune }) === JSON.stringify(UNPRUNED)) return "unpruned";
  return prune === undefined && bits?.length === 1 ? bitsLabel(bits[0] as BitsChoice) : "other";
}
