import { useEffect } from "react";
import { useFront, useJob } from "../api/queries";
import { Heading } from "../parts/Heading";
import { Loading, ProblemNotice } from "../parts/Notice";
import { href } from "../routing/place";
import { JobView } from "./JobView";

export function JobPage({ id, query }: { id: string; query: URLSearchParams }) {
  const job = useJob(id);
  // The front and what draws it are asked for beside the job, not after it: they are what is looked at first.
  useFront(id, false);
  useEffect(() => {
    void import("../front/ParetoChart");
  }, []);
  return (
    <>
      {!job.data && <Heading title="Job">Job {id}</Heading>}
      {job.error && (
        <ProblemNotice error={job.error}>
          <p>
            Go to <a href={href([])}>all jobs</a>.
          </p>
        </ProblemNotice>
      )}
      {job.data && <JobView job={job.data} query={query} />}
      {job.isPending && <Loading what="the job" />}
    </>
  );
}
