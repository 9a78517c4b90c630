import { useState } from "react";
import { useEventLog } from "../api/queries";
import type { JobEvent } from "../api/types";
import { significant } from "../format/numbers";
import { Age } from "../parts/Age";
import { ProblemNotice } from "../parts/Notice";

const SHOWN = 100;

interface Props {
  job: string;
  poll: number | false;
  onSelect: (trial: number) => void;
}

/** What happened to the job, the latest first; read only while it is open. */
export function EventLog({ job, poll, onSelect }: Props) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="card events" onToggle={(event) => setOpen(event.currentTarget.open)} data-testid="event-log">
      <summary>
        <h2>Events</h2>
      </summary>
      {isOpen && <Lines job={job} poll={poll} onSelect={onSelect} />}
    </details>
  );
}

function Lines({ job, poll, onSelect }: Props) {
  const events = useEventLog(job, poll);
  if (events.error) return <ProblemNotice error={events.error} />;
  if (!events.data) return <p className="empty">Loading the events …</p>;
  const latest = events.data.slice(-SHOWN).reverse();
  return (
    <div className="scroll" role="region" aria-label="Events, the latest first" tabIndex={0}>
      <ol>
        {latest.map((event) => (
          <li key={event.seq}>
            <Age moment={event.at} /> <span>{describe(event)}</span>
            {typeof event.data["trial"] === "number" && (
              <button type="button" className="link" onClick={() => onSelect(event.data["trial"] as number)}>
                show
              </button>
            )}
          </li>
        ))}
      </ol>
      {events.data.length > SHOWN && <p className="note">The latest {SHOWN} of {events.data.length}.</p>}
    </div>
  );
}

/** An event in words; one of a kind that this page does not know keeps its name. */
export function describe({ kind, data }: JobEvent): string {
  const { trial, state, reason } = data as { trial?: number; state?: string; reason?: string | null };
  const because = reason ? `: ${reason}` : "";
  switch (kind) {
    case "job.state":
      return `The job is ${state}${because}`;
    case "job.budget":
      return `The budget is now ${String(data["trials"])} trials`;
    case "trial.started":
      return `Trial ${trial} started`;
    case "trial.finished":
      return `Trial ${trial} is ${state}${because}${hypervolumeOf(data)}`;
    case "trial.lost":
      return `Trial ${trial} was lost and runs again${because}`;
    case "trial.extras":
      return "The front's accuracy on the test split was read";
    case "reference":
      return "The reference was measured";
    case "front.remeasured":
      return "The front was measured again, all members together";
    default:
      return kind;
  }
}

function hypervolumeOf(data: JobEvent["data"]): string {
  const progress = data["progress"] as { hypervolume?: number } | undefined;
  return progress?.hypervolume === undefined ? "" : `; hypervolume ${significant(progress.hypervolume)}`;
}
