import { useQueries } from "@tanstack/react-query";
import { apiUrl, get } from "../api/client";
import { jobKey, useJob } from "../api/queries";
import type { Trial } from "../api/types";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { numbersOf } from "../pick/selection";
import { href, setQuery } from "../routing/place";
import { type Line, linesOf } from "./differences";

/** Two or more trials side by side; by default only what differs. */
export function ComparePage({ id, query }: { id: string; query: URLSearchParams }) {
  const job = useJob(id);
  const numbers = numbersOf(query.get("trials") ?? "");
  const found = useQueries({
    queries: numbers.map((number) => ({
      queryKey: [...jobKey(id), "trial", number],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        get<Trial>(apiUrl(`jobs/${encodeURIComponent(id)}/trials/${number}`), signal),
    })),
  });
  const error = job.error ?? found.find((trial) => trial.error)?.error;
  const trials = found.flatMap(({ data }) => data ?? []);
  const marked = new URLSearchParams({ marked: numbers.join(",") });
  return (
    <>
      <p className="crumbs">
        <a href={href(["jobs", id], marked)}>
          {job.data ? `${job.data.spec.workload} on ${job.data.spec.target}` : `Job ${id}`}
        </a>
      </p>
      <div className="title-row">
        <Heading title={`Compare trials ${numbers.join(", ")}`}>Compare trials {numbers.join(", ")}</Heading>
      </div>
      {numbers.length < 2 && (
        <p className="empty">
          Tick two or more trials in <a href={href(["jobs", id])}>the job's table</a> to compare them.
        </p>
      )}
      {error && <ProblemNotice error={error} />}
      {!error && trials.length < numbers.length && <Loading what="the trials" />}
      {trials.length > 1 && trials.length === numbers.length && <Comparison id={id} trials={trials} query={query} />}
    </>
  );
}

function Comparison({ id, trials, query }: { id: string; trials: Trial[]; query: URLSearchParams }) {
  const isWhole = query.get("show") === "all";
  const lines = linesOf(trials);
  const shown = isWhole ? lines : lines.filter(({ differs }) => differs);
  const groups = [...new Set(shown.map(({ group }) => group))];
  return (
    <section className="card" aria-labelledby="differences-title">
      <div className="card-head">
        <h2 id="differences-title">{isWhole ? "Everything" : "What differs"}</h2>
        <label className="field">
          <input
            type="checkbox"
            checked={!isWhole}
            onChange={(event) => setQuery({ show: event.target.checked ? null : "all" })}
          />
          Only what differs ({lines.filter(({ differs }) => differs).length} of {lines.length})
        </label>
      </div>
      <div className="scroll-x" role="region" aria-label="Comparison" tabIndex={0}>
        <table className="compare" data-testid="compare">
          <thead>
            <tr>
              <th scope="col">
                <span className="unseen">Property</span>
              </th>
              {trials.map(({ trial }) => (
                <th key={trial} scope="col">
                  <a href={href(["jobs", id, "trials", String(trial)])}>Trial {trial}</a>
                </th>
              ))}
            </tr>
          </thead>
          {groups.map((group) => (
            <Group key={group} name={group} lines={shown.filter((line) => line.group === group)} columns={trials.length} />
          ))}
        </table>
      </div>
      {shown.length === 0 && <p className="empty">These trials are the same in everything.</p>}
    </section>
  );
}

function Group({ name, lines, columns }: { name: string; lines: Line[]; columns: number }) {
  return (
    <tbody>
      <tr className="group">
        <th scope="rowgroup" colSpan={columns + 1}>
          {name}
        </th>
      </tr>
      {lines.map((line) => (
        <tr key={line.name} data-differs={line.differs}>
          <th scope="row">{name === "Layers" ? <code>{line.name}</code> : line.name}</th>
          {line.values.map((value, index) => (
            // The place alone tells the trials apart.
            <td key={index}>
              {index === line.best ? <strong>{value}</strong> : value}
              {index === line.best && <span className="unseen"> (best)</span>}
            </td>
          ))}
        </tr>
      ))}
    </tbody>
  );
}
