import { apiUrl } from "../api/client";
import { Command } from "../parts/Command";
import { href } from "../routing/place";

const EXAMPLE = {
  workload: "digits-cnn",
  target: "local-cpu",
  objectives: ["accuracy", "latency_ms", "size_bytes"],
  constraints: { accuracy_drop: { max: 0.01 } },
  budget: { trials: 40 },
};

/** What to do when there is nothing to see yet. */
export function EmptyJobs() {
  return (
    <section className="empty" aria-labelledby="empty-title">
      <h2 id="empty-title">No jobs yet</h2>
      <p>
        A job searches for smaller and faster versions of a trained model on a hardware target. It shows up here as
        soon as it is submitted. <a href={href(["new"])}>Fill in the form</a>, or submit one over HTTP:
      </p>
      <Command label="Submit a job over HTTP" text={curl()} />
      <p>Or see the whole way, from the search to a verified recipe, with one command:</p>
      <Command label="Run the demonstration" text="tauten demo" />
    </section>
  );
}

function curl(): string {
  // A field a line, so that it is read and changed with ease.
  const fields = Object.entries(EXAMPLE).map(([name, value]) => `  "${name}": ${JSON.stringify(value)}`);
  const body = `{\n${fields.join(",\n")}\n}`;
  return `curl ${apiUrl("jobs")} --header 'Content-Type: application/json' --data '${body}'`;
}
