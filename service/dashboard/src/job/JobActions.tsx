import { useRef } from "react";
import { actionsIn } from "../api/lifecycle";
import { type JobAction, useJobAction } from "../api/queries";
import type { Job } from "../api/types";
import { ProblemNotice } from "../parts/Notice";

const LABELS: Record<JobAction, string> = { pause: "Pause", resume: "Resume", cancel: "Cancel …" };

/** What can be done with the job now. Cancelling is for ever, so it is confirmed. */
export function JobActions({ job }: { job: Job }) {
  const action = useJobAction(job.id);
  const dialog = useRef<HTMLDialogElement>(null);
  const start = (name: JobAction) => (name === "cancel" ? dialog.current?.showModal() : action.mutate(name));

  return (
    <>
      <div className="actions">
        {actionsIn(job.state).map((name) => (
          <button key={name} type="button" data-action={name} disabled={action.isPending} onClick={() => start(name)}>
            {LABELS[name]}
          </button>
        ))}
      </div>
      {action.error && <ProblemNotice error={action.error} />}
      <dialog ref={dialog} aria-labelledby="cancel-title" aria-describedby="cancel-text">
        <form method="dialog">
          <h2 id="cancel-title">Cancel this job?</h2>
          <p id="cancel-text">
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
