import { useJobs } from "../api/queries";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { EmptyJobs } from "./EmptyJobs";
import { JobsTable } from "./JobsTable";
import { StateFilter } from "./StateFilter";

export function JobsPage({ query }: { query: URLSearchParams }) {
  const state = query.get("state") ?? undefined;
  const jobs = useJobs(state);
  const items = jobs.data?.pages.flatMap((page) => page.items);

  return (
    <>
      <div className="title-row">
        <Heading title="Jobs">Jobs</Heading>
        <StateFilter state={state} />
      </div>
      {jobs.error && <ProblemNotice error={jobs.error} />}
      {!items && !jobs.error && <Loading what="the jobs" />}
      {items && items.length === 0 && <EmptyJobs state={state} />}
      {items && items.length > 0 && <JobsTable jobs={items} />}
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
