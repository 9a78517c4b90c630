import type { BitsChoice, Bound, JobIn, JobSpec, Kernel, Space } from "../api/types";

/** What the form holds: a job that may not be valid yet. */
export interface Draft {
  workload: string;
  target: string;
  objectives: string[];
  constraints: Record<string, Bound>;
  /** `null` leaves the space to the service. */
  space: Space | null;
  sampler: string;
  /** Which sensitivities are measured first; empty leaves it to the service, like the sampler. */
  profile: string;
  /** How many trials are recovered in full; empty likewise. */
  fidelity: string;
  trials: number | null;
  wall_s: number | null;
  runner: string;
  seed: number | null;
}

/** A form that holds what the service would do by itself. */
export const EMPTY: Draft = {
  workload: "",
  target: "local-cpu",
  objectives: ["accuracy", "latency_ms", "size_bytes"],
  constraints: { accuracy_drop: { max: 0.01 } },
  space: null,
  sampler: "",
  profile: "",
  fidelity: "",
  trials: 40,
  wall_s: null,
  runner: "local",
  seed: 0,
};

/** The form that asks for the same as a job did; of one that scored another's trials, for a search on its target. */
export const draftOf = ({ budget, source: _, ...spec }: JobSpec): Draft => ({
  ...EMPTY,
  ...spec,
  trials: budget.trials,
  wall_s: budget.wall_s,
});

/** The request for what the form holds; `null` while it names no workload. Empty fields are left to the service. */
export function bodyOf(draft: Draft): JobIn | null {
  if (!draft.workload) return null;
  // What a duplicated job says besides is asked for again.
  const { space, sampler, profile, fidelity, trials, wall_s, seed, constraints: bounds, ...rest } = draft;
  const constraints = Object.fromEntries(
    Object.entries(bounds).filter(([, { min, max }]) => min != null || max != null),
  );
  return {
    ...rest,
    constraints,
    ...(space && { space }),
    ...(sampler && { sampler }),
    ...(profile && { profile }),
    ...(fidelity && { fidelity }),
    budget: { ...(trials !== null && { trials }), ...(wall_s !== null && { wall_s }) },
    ...(seed !== null && { seed }),
  } as JobIn;
}

/** The faults of a field and of what lies within it. */
export const faultsAt = (faults: { pointer: string; detail: string }[], pointer: string) =>
  faults.filter((fault) => fault.pointer === pointer || fault.pointer.startsWith(`${pointer}/`));

/** The formats that a target's kernels run, float first; each is a choice of bits. */
export function bitsOf(kernels: Kernel[] | undefined): BitsChoice[] {
  const found = new Map<string, BitsChoice>();
  const add = (choice: BitsChoice) => found.set(bitsLabel(choice), choice);
  add({ weight: 32, activation: 32, mode: "none" });
  for (const { weight_bits, activation_bits, mode } of kernels ?? []) {
    add({ weight: weight_bits, activation: activation_bits, mode });
  }
  return [...found.values()];
}

/** W8 A8 static; float where nothing is quantized. */
export function bitsLabel({ weight, activation, mode }: BitsChoice): string {
  if (weight >= 32 && activation >= 32) return "float";
  const kind = mode && mode !== "none" ? ` ${mode}` : "";
  return activation >= 32 ? `W${weight} alone` : `W${weight} A${activation}${kind}`;
}

/** A layer's exception changed; the space is made where there was none, and goes where nothing is left in it. */
export function withLayer(space: Space | null, layer: string, exception: unknown): Space | null {
  const others = Object.entries(space?.layers ?? {}).filter(([name]) => name !== layer);
  const layers = Object.fromEntries(exception === null ? others : [...others, [layer, exception]]);
  return withPart(space, "layers", Object.keys(layers).length > 0 ? layers : undefined);
}

/** A part of the space changed; `undefined` leaves it to the service. */
export function withPart(space: Space | null, part: string, value: unknown): Space | null {
  const rest = Object.entries(space ?? {}).filter(([name]) => name !== part);
  const next = value === undefined ? rest : [...rest, [part, value]];
  return next.length > 0 ? (Object.fromEntries(next) as Space) : null;
}
