import { useId, useRef } from "react";
import { actionsIn } from "../api/lifecycle";
import { type JobAction, useJobAction } from "../api/queries";
import type { Job } from "../api/types";
import { ProblemNotice } from "../parts/Notice";

const LABELS: Record<JobAction, string> = { pause: "Pause", resume: "Resume", cancel: "Cancel …" };

/** What can be done with the job now. Cancelling is for ever, so it is confirmed. */
export function JobActions({ job }: { job: Job }) {
  const action = useJobAction(job.id);
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const start = (name: JobAction) => (name === "cancel" ? dialog.current?.showModal() : action.mutate(name));

  const possible = actionsIn(job.state);
  if (possible.length === 0 && !action.error) return null;
  return (
    <>
      <div className="actions" role="group" aria-label="What can be done with the job">
        {possible.map((name) => (
          <button key={name} type="button" data-action={name} disabled={action.isPending} onClick={() => start(name)}>
            {LABELS[name]}
          </button>
        ))}
      </div>
      {action.error && <ProblemNotice error={action.error} />}
      <dialog ref={dialog} aria-labelledby={`${id}-title`} aria-describedby={`${id}-text`}>
        <form method="dialog">
          <h2 id={`${id}-title`}>Cancel this job?</h2>
          <p id={`${id}-text`}>
            The trials that finished stay, and so do their front, recipes and artifacts. A cancelled job cannot be
            resumed; to go on later, pause it.
          </p>
          <div className="actions">
            <button type="submit">Keep it</button>
            <button type="submit" className="danger" onClick={() => action.mutate("cancel")}>
              Cancel the job
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
