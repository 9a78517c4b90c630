import type { Layer, Trial } from "../api/types";

/** One row of the heat-map; shares are of the uncompressed model, absent where its layers are not known. */
export interface LayerRow {
  name: string;
  op: string | null;
  /** Share removed, 0 to 1; `null` where the policy leaves the layer as it is. */
  prune: number | null;
  pruneHow: string | null;
  weightBits: number | null;
  weightHow: string | null;
  activationBits: number | null;
  activationHow: string | null;
  executedAs: string | null;
  macsShare: number | null;
  parametersShare: number | null;
  /** Of this policy's own latency. */
  latencyShare: number | null;
}

/** Layers in the order of execution, as far as the deployed graph or the inventory tells it. */
export function layerRows(
  { policy, executed_as }: Trial,
  inventory: Layer[] | null,
  latency: Record<string, number> | null = null,
): LayerRow[] {
  const known = new Map((inventory ?? []).map((layer) => [layer.name, layer]));
  const isRead = Object.keys(executed_as).length > 0;
  const asked = Object.keys(policy.layers);
  // What was not deployed has no graph to read; the inventory then has the order, and the layers left as they are.
  const present = [...new Set(isRead ? [...Object.keys(executed_as), ...asked] : [...known.keys(), ...asked])];
  const total = (field: "macs" | "parameters") => [...known.values()].reduce((sum, layer) => sum + layer[field], 0);
  const [macs, parameters] = [total("macs"), total("parameters")];
  return present.map((name) => {
    const { prune, weight, activation } = policy.layers[name] ?? {};
    const layer = known.get(name);
    return {
      name,
      op: layer?.op ?? null,
      prune: prune?.ratio ?? null,
      pruneHow: prune ? `${prune.granularity}, by ${prune.criterion}` : null,
      weightBits: weight?.bits ?? null,
      weightHow: weight?.granularity ? `a scale for each ${weight.granularity}` : null,
      activationBits: activation?.bits ?? null,
      activationHow: activation?.mode ?? null,
      executedAs: executed_as[name] ?? null,
      macsShare: layer && macs > 0 ? layer.macs / macs : null,
      parametersShare: layer && parameters > 0 ? layer.parameters / parameters : null,
      latencyShare: latency?.[name] ?? null,
    };
  });
}

/** How strongly a width is compressed, 0 at float to 1 at two bits, by the logarithm. */
export function bitsHeat(bits: number | null): number {
  if (bits === null || bits >= 32) return 0;
  return Math.min(1, Math.log2(32 / bits) / 4);
}
