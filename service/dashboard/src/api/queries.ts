import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { apiUrl, get, getAll, post } from "./client";
import { isFinal } from "./lifecycle";
import type { Front, HypervolumePoint, Job, Page, Trial } from "./types";

export type JobAction = "cancel" | "pause" | "resume";

/** Everything of one job has this prefix, so that one invalidation refreshes it all. */
export const jobKey = (id: string) => ["job", id] as const;

const path = (id: string, rest = "") => `jobs/${encodeURIComponent(id)}${rest}`;

export function useJobs(state: string | undefined) {
  return useInfiniteQuery({
    queryKey: ["jobs", state ?? "all"],
    queryFn: ({ pageParam, signal }) =>
      get<Page<Job>>(apiUrl("jobs", { limit: 50, cursor: pageParam, state }), signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: 2_000,
  });
}

export function useJob(id: string) {
  return useQuery({
    queryKey: [...jobKey(id), "job"],
    queryFn: ({ signal }) => get<Job>(apiUrl(path(id)), signal),
    refetchInterval: ({ state }) => (state.data && isFinal(state.data.state) ? false : 5_000),
  });
}

export function useTrials(id: string, poll: number | false) {
  return useQuery({
    queryKey: [...jobKey(id), "trials"],
    queryFn: ({ signal }) => getAll<Trial>(path(id, "/trials"), signal),
    refetchInterval: poll,
  });
}

export function useFront(id: string, poll: number | false) {
  return useQuery({
    queryKey: [...jobKey(id), "front"],
    queryFn: ({ signal }) => get<Front>(apiUrl(path(id, "/front")), signal),
    refetchInterval: poll,
  });
}

export function useHypervolume(id: string, poll: number | false) {
  return useQuery({
    queryKey: [...jobKey(id), "hypervolume"],
    queryFn: ({ signal }) => get<Page<HypervolumePoint>>(apiUrl(path(id, "/hypervolume")), signal),
    refetchInterval: poll,
  });
}

export function useJobAction(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (action: JobAction) => post<Job>(apiUrl(path(id, `/${action}`))),
    onSuccess: (job) => client.setQueryData([...jobKey(id), "job"], job),
    // A refusal means that the job has moved on: show where it is now.
    onSettled: () => client.invalidateQueries({ queryKey: jobKey(id) }),
  });
}

export const eventsUrl = (id: string) => apiUrl(path(id, "/events"));

export const recipeUrl = (id: string, trial: number) => apiUrl(path(id, "/recipe"), { trial });

export const artifactUrl = (id: string, trial: number) => apiUrl(path(id, `/trials/${trial}/artifact`));
