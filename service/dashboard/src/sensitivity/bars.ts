import type { Profile } from "../api/types";

/** What the strongest choices of a layer add to the loss; `null` where the layer has no such choice. */
export interface Sensitivity {
  layer: string;
  bits: number | null;
  prune: number | null;
}

/** Of the profile's first student, the most sensitive layer first. Improvements are noise, and count as nothing. */
export function sensitivities({ students }: Profile): Sensitivity[] {
  const first = students[0];
  if (!first) return [];
  const names = new Set([...Object.keys(first.bits), ...Object.keys(first.ratios)]);
  const worst = (values: number[] | undefined) => (values && values.length > 0 ? Math.max(0, ...values) : null);
  const rows = [...names].map((layer) => ({ layer, bits: worst(first.bits[layer]), prune: worst(first.ratios[layer]) }));
  const total = ({ bits, prune }: Sensitivity) => Math.max(bits ?? 0, prune ?? 0);
  return rows.sort((a, b) => total(b) - total(a));
}
