import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { get, serviceUrl } from "../api/client";
import { useConnection } from "../api/connection";
import { age } from "../format/time";
import { useNow } from "./now";

const RETRY_MS = 2_000;

/** Says that the service is silent and that the page is as old as that; refreshes everything once it is back. */
export function ConnectionBanner() {
  const client = useQueryClient();
  const { lostAt } = useConnection();
  const isLost = lostAt !== null;

  useEffect(() => {
    if (!isLost) return;
    const timer = window.setInterval(async () => {
      try {
        await get(serviceUrl("healthz"));
      } catch {
        return; // still silent; the next try comes soon
      }
      await client.invalidateQueries();
    }, RETRY_MS);
    return () => window.clearInterval(timer);
  }, [isLost, client]);

  return (
    <div className="connection" role="status" data-testid="connection">
      {lostAt !== null && <Silent since={lostAt} />}
    </div>
  );
}

function Silent({ since }: { since: number }) {
  return (
    <p>
      <strong>The service does not answer.</strong> Shown is what was known {age(new Date(since).toISOString(), useNow())}
      ; this page goes on by itself once it is back.
    </p>
  );
}
