import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { eventsUrl, jobKey } from "./queries";

/** EventSource delivers a named event to listeners of that very name only, so each kind is listed. */
const KINDS = [
  "message",
  "job.state",
  "job.progress",
  "trial.started",
  "trial.finished",
  "trial.lost",
  "reference",
  "trial.extras",
  "front.remeasured",
  "job.budget",
];
const MIN_INTERVAL_MS = 500;
/** A round that takes long is followed by a rest of several times that, so that a large job stays responsive. */
const REST_RATIO = 4;
const RECONNECT_MS = 15_000;

/**
 * Refreshes what is shown of a live job as its events arrive, at most about twice a second.
 * Returns whether the stream is open; while it is not, the caller polls.
 */
export function useJobEvents(id: string, isLive: boolean): boolean {
  const client = useQueryClient();
  const refresh = useMemo(() => refresher(client, id), [client, id]);
  const [isOpen, setOpen] = useState(false);

  useEffect(() => {
    if (!isLive) return;
    let source: EventSource;
    let retry: number | undefined;
    const connect = () => {
      source = new EventSource(eventsUrl(id));
      source.onopen = () => setOpen(true);
      source.onerror = () => {
        setOpen(false);
        // The browser reconnects by itself after a broken connection, but gives up after a refusal.
        if (source.readyState === EventSource.CLOSED) retry = window.setTimeout(connect, RECONNECT_MS);
      };
      for (const kind of KINDS) source.addEventListener(kind, refresh);
    };
    connect();
    return () => {
      source.close();
      window.clearTimeout(retry);
      setOpen(false);
      // The last event may have come while an older answer was on its way.
      refresh();
    };
  }, [id, isLive, refresh]);

  return isOpen;
}

/** A function that refreshes the job's queries, however often it is called, one round at a time. */
function refresher(client: QueryClient, id: string): () => void {
  let isDue = false;
  let isRunning = false;
  return async () => {
    isDue = true;
    if (isRunning) return;
    isRunning = true;
    while (isDue) {
      isDue = false;
      // Waiting for the round keeps slow answers from being cancelled by the next event for ever.
      const begun = performance.now();
      await client.invalidateQueries({ queryKey: jobKey(id) });
      const rest = Math.max(MIN_INTERVAL_MS, REST_RATIO * (performance.now() - begun));
      await new Promise((resolve) => setTimeout(resolve, rest));
    }
    isRunning = false;
  };
}
