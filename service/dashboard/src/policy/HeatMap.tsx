import type { UseQueryResult } from "@tanstack/react-query";
import type { Layer, LayerLatency, Trial } from "../api/types";
import { percent, share } from "../format/numbers";
import { bitsHeat, type LayerRow, layerRows } from "./layers";

interface Props {
  trial: Trial;
  inventory: Layer[] | null;
  /** `null` where the service cannot tell. */
  latency?: UseQueryResult<LayerLatency> | null;
}

/** The policy layer by layer, a real table whose cells are the darker the stronger the compression. */
export function HeatMap({ trial, inventory, latency = null }: Props) {
  const rows = layerRows(trial, inventory, latency?.data?.shares);
  if (rows.length === 0) return <p className="empty">The policy leaves every layer as it is.</p>;
  const hasShares = rows.some(({ macsShare }) => macsShare !== null);
  const hasLatency = latency !== null && !latency.error && latency.data?.shares !== null;
  return (
    <>
      <div className="scroll heat" role="region" aria-label="Rows of layers" tabIndex={0}>
        <table data-testid="heat-map">
          <caption className="unseen">
            What the policy does to each layer, in the order of execution, and what the layer runs as
          </caption>
          <thead>
            <tr>
              <th scope="col">Layer</th>
              <th scope="col">Kind</th>
              <th scope="col" className="number">Pruned</th>
              <th scope="col" className="number">Weight bits</th>
              <th scope="col" className="number">Activation bits</th>
              <th scope="col">Runs as</th>
              {hasLatency && <th scope="col">Latency</th>}
              {hasShares && <th scope="col">Reference MACs</th>}
              {hasShares && <th scope="col">Reference size</th>}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Row key={row.name} row={row} hasShares={hasShares} hasLatency={hasLatency} />
            ))}
          </tbody>
        </table>
      </div>
      <p className="note">
        Darker is more strongly compressed.
        {hasShares && " The bars under reference are each layer's share of the uncompressed model's operations and parameters."}
      </p>
      {latency && <LatencyNote latency={latency} />}
    </>
  );
}

/** How the shares of latency came about, or why there are none. */
function LatencyNote({ latency: { data, error } }: { latency: UseQueryResult<LayerLatency> }) {
  const reason = error?.message ?? data?.reason;
  if (reason != null) return <p className="note" data-testid="latency-note">The layers' shares of latency are not known: {reason}.</p>;
  if (!data) return <p className="note" data-testid="latency-note">The layers are being timed …</p>;
  const how = data.method === "modelled" ? "modelled from the target's figures" : "measured by the runtime's profiler";
  return (
    <p className="note" data-testid="latency-note">
      Shares of latency are of this policy itself, {how}; {percent(data.rest ?? 0, 1)} goes to what is no layer, such as
      pooling and additions.
    </p>
  );
}

function Row({ row, hasShares, hasLatency }: { row: LayerRow; hasShares: boolean; hasLatency: boolean }) {
  return (
    <tr>
      <th scope="row">
        <code>{row.name}</code>
      </th>
      <td>{row.op ?? "–"}</td>
      <HeatCell heat={row.prune ?? 0} text={row.prune === null ? "–" : share(row.prune)} title={row.pruneHow} />
      <HeatCell heat={bitsHeat(row.weightBits)} text={row.weightBits ?? "–"} title={row.weightHow} />
      <HeatCell heat={bitsHeat(row.activationBits)} text={row.activationBits ?? "–"} title={row.activationHow} />
      <td>{row.executedAs ? <code data-runs={row.executedAs}>{row.executedAs}</code> : "–"}</td>
      {hasLatency && <ShareCell value={row.latencyShare} />}
      {hasShares && <ShareCell value={row.macsShare} />}
      {hasShares && <ShareCell value={row.parametersShare} />}
    </tr>
  );
}

/** At full heat the ground still leaves the text its contrast. */
function HeatCell({ heat, text, title }: { heat: number; text: string | number; title: string | null }) {
  return (
    <td className="number heat-cell" style={{ "--heat": `${Math.round(heat * 100)}%` } as React.CSSProperties} title={title ?? undefined}>
      {text}
    </td>
  );
}

function ShareCell({ value }: { value: number | null }) {
  if (value === null) return <td>–</td>;
  return (
    <td>
      <span className="share-bar">
        <span className="share-fill" style={{ width: `${value * 100}%` }} />
        <span className="number">{percent(value, 1)}</span>
      </span>
    </td>
  );
}
