import { useJobs } from "../api/queries";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { href, setQuery } from "../routing/place";
import { EmptyJobs } from "./EmptyJobs";
import { JobFilters } from "./JobFilters";
import { JobsTable } from "./JobsTable";
import { arranged, orderOf } from "./order";

export function JobsPage({ query }: { query: URLSearchParams }) {
  const [state, workload, target] = ["state", "workload", "target"].map((name) => query.get(name) ?? undefined);
  const jobs = useJobs({ state, workload, target });
  const items = jobs.data?.pages.flatMap((page) => page.items);
  const find = query.get("find") ?? "";
  const shown = items && arranged(items, find, orderOf(query));
  const isFiltered = Boolean(state || workload || target || find);

  return (
    <>
      <div className="title-row">
        <Heading title="Jobs">Jobs</Heading>
        <div className="actions">
          <a className="button primary" href={href(["new"])}>
            New job
          </a>
        </div>
      </div>
      <JobFilters query={query} />
      {jobs.error && <ProblemNotice error={jobs.error} />}
      {!items && !jobs.error && <Loading what="the jobs" />}
      {shown?.length === 0 && !isFiltered && <EmptyJobs />}
      {shown?.length === 0 && isFiltered && (
        <p className="empty">
          No job passes these filters.{" "}
          <button
            type="button"
            className="link"
            onClick={() => setQuery({ state: null, workload: null, target: null, find: null })}
          >
            Show all jobs
          </button>
        </p>
      )}
      {shown && shown.length > 0 && <JobsTable jobs={shown} />}
      {jobs.hasNextPage && (
        <p>
          <button type="button" onClick={() => jobs.fetchNextPage()} disabled={jobs.isFetchingNextPage}>
            Show older jobs
          </button>
        </p>
      )}
    </>
  );
}
