import { useSyncExternalStore } from "react";

/** What the last requests told about the service as a whole; requests report, the page's frame listens. */
export interface Connection {
  /** The moment since when no answer has come, or `null`. */
  lostAt: number | null;
  /** The service wants to know who asks. */
  needsKey: boolean;
}

let current: Connection = { lostAt: null, needsKey: false };
const listeners = new Set<() => void>();

/** An answer came; a refusal is one too. */
export function reportAnswer(status: number, hasSignedIn: boolean): void {
  change({ lostAt: null, needsKey: status === 401 || (current.needsKey && !hasSignedIn) });
}

/** No answer came at all. */
export function reportSilence(): void {
  change({ ...current, lostAt: current.lostAt ?? Date.now() });
}

export function useConnection(): Connection {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

function change(next: Connection): void {
  if (next.lostAt === current.lostAt && next.needsKey === current.needsKey) return;
  current = next;
  for (const listener of listeners) listener();
}
