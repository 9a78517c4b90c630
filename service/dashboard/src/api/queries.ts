import { keepPreviousData, useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { apiUrl, get, getAll, getText, post, remove } from "./client";
import { isFinal } from "./lifecycle";
import { excessOf, trialsFromCsv } from "./scores";
import type {
  Front,
  HypervolumePoint,
  Job,
  JobEvent,
  JobIn,
  Key,
  LayerLatency,
  Page,
  Profile,
  Session,
  Target,
  Trial,
  Validation,
  Worker,
  Workload,
} from "./types";

interface RecipeReport {
  losses: { layer: string | null; part: string; lost: string; remedy: string }[];
}

export type JobAction = "cancel" | "pause" | "resume";

/** Everything of one job has this prefix, so that one invalidation refreshes it all. */
export const jobKey = (id: string) => ["job", id] as const;

const path = (id: string, rest = "") => `jobs/${encodeURIComponent(id)}${rest}`;

/** The filters of the list that the service itself applies. */
export interface JobFilter {
  state?: string | undefined;
  workload?: string | undefined;
  target?: string | undefined;
}

export function useJobs(filter: JobFilter) {
  return useInfiniteQuery({
    queryKey: ["jobs", filter],
    queryFn: ({ pageParam, signal }) =>
      get<Page<Job>>(apiUrl("jobs", { limit: 50, cursor: pageParam, ...filter }), signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: 2_000,
    placeholderData: keepPreviousData,
  });
}

export function useJob(id: string, enabled = true) {
  return useQuery({
    queryKey: [...jobKey(id), "job"],
    queryFn: ({ signal }) => get<Job>(apiUrl(path(id)), signal),
    refetchInterval: ({ state }) => (state.data && isFinal(state.data.state) ? false : 5_000),
    enabled,
  });
}

/** Beyond so many trials their scores alone are read; each trial's policy is then read when it is looked at. */
export const MANY_TRIALS = 2_000;

export const hasMany = ({ progress }: Job): boolean => progress.trials.done > MANY_TRIALS;

/** All trials by number: their documents, or of many the scores. */
export function useTrials(job: Job, poll: number | false, enabled = true) {
  const isMany = hasMany(job);
  return useQuery({
    queryKey: [...jobKey(job.id), "trials", isMany],
    queryFn: async ({ signal }) => {
      if (!isMany) return getAll<Trial>(path(job.id, "/trials"), signal);
      const text = await getText(apiUrl(path(job.id, "/trials")), signal, "text/csv");
      return trialsFromCsv(text, (metrics) => excessOf(metrics, job.spec.constraints));
    },
    refetchInterval: poll,
    placeholderData: keepPreviousData,
    enabled,
  });
}

/** A trial with all that is known of it; `null` asks for none. */
export function useTrial(id: string, trial: number | null) {
  return useQuery({
    queryKey: [...jobKey(id), "trial", trial],
    queryFn: ({ signal }) => get<Trial>(apiUrl(path(id, `/trials/${trial}`)), signal),
    enabled: trial !== null,
  });
}

/** A job's front; where nobody polls or listens it is asked for again when the state of the job is another. */
export function useFront(id: string, poll: number | false, state?: string) {
  return useQuery({
    // Two parts of a page that both want it do not ask twice; an event asks again at once.
    staleTime: 1_000,
    queryKey: [...jobKey(id), "front", state],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => get<Front>(apiUrl(path(id, "/front")), signal),
    refetchInterval: poll,
  });
}

export function useHypervolume(id: string, poll: number | false, enabled = true) {
  return useQuery({
    queryKey: [...jobKey(id), "hypervolume"],
    queryFn: ({ signal }) => get<Page<HypervolumePoint>>(apiUrl(path(id, "/hypervolume")), signal),
    refetchInterval: poll,
    enabled,
  });
}

/** All events of a job; only those that are new are asked for. */
export function useEventLog(id: string, poll: number | false) {
  const client = useQueryClient();
  const queryKey = [...jobKey(id), "events"];
  return useQuery({
    queryKey,
    queryFn: async ({ signal }) => {
      const known = client.getQueryData<JobEvent[]>(queryKey) ?? [];
      const after = known.at(-1)?.seq ?? 0;
      const { items } = await get<Page<JobEvent>>(apiUrl(path(id, "/events"), { after }), signal);
      return items.length > 0 ? [...known, ...items] : known;
    },
    refetchInterval: poll,
  });
}

export function useRecipe(id: string, trial: number, format: string) {
  return useQuery({
    queryKey: [...jobKey(id), "recipe", trial, format],
    queryFn: ({ signal }) => getText(recipeUrl(id, trial, format), signal),
    retry: false,
  });
}

/** What a recipe's format cannot say of a policy. */
export function useRecipeLosses(id: string, trial: number, format: string, enabled: boolean) {
  return useQuery({
    queryKey: [...jobKey(id), "losses", trial, format],
    queryFn: ({ signal }) =>
      get<RecipeReport>(apiUrl(path(id, "/recipe"), { trial, format, losses: "true" }), signal),
    enabled,
    retry: false,
  });
}

/** Found when first asked for, which takes the service some seconds; a refusal says why it cannot be known. */
export function useLayerLatency(id: string, trial: number, enabled: boolean) {
  return useQuery({
    queryKey: [...jobKey(id), "layer-latency", trial],
    queryFn: ({ signal }) => get<LayerLatency>(apiUrl(path(id, `/trials/${trial}/layer-latency`)), signal),
    enabled,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The jobs that score a job's trials on other targets, the newest first. */
export function useRetargets(job: Job) {
  return useQuery({
    queryKey: [...jobKey(job.id), "retargets"],
    queryFn: async ({ signal }) => {
      const { items } = await get<Page<Job>>(apiUrl("jobs", { limit: 1000, workload: job.spec.workload }), signal);
      return items.filter(({ source }) => source?.job === job.id);
    },
    refetchInterval: ({ state }) => (state.data?.some((found) => !isFinal(found.state)) ? 2_000 : false),
  });
}

export function useRetarget(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { target: string; trials: "front" | "all" }) => post<Job>(apiUrl(path(id, "/retarget")), body),
    onSettled: () => client.invalidateQueries({ queryKey: [...jobKey(id), "retargets"] }),
  });
}

export function useJobAction(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (action: JobAction) => post<Job>(apiUrl(path(id, `/${action}`))),
    onSuccess: (job) => client.setQueryData([...jobKey(id), "job"], job),
    // A refusal means that the job has moved on: show where it is now.
    onSettled: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: jobKey(id) }),
        client.invalidateQueries({ queryKey: ["jobs"] }),
      ]),
  });
}

export function useValidation(body: JobIn | null) {
  return useQuery({
    queryKey: ["validate", body],
    queryFn: ({ signal }) => post<Validation>(apiUrl("jobs/validate"), body, signal),
    enabled: body !== null,
    retry: false,
    placeholderData: keepPreviousData,
  });
}

export function useSubmit() {
  return useMutation({ mutationFn: (body: JobIn) => post<Job>(apiUrl("jobs"), body) });
}

export function useWorkloads() {
  return useQuery({
    queryKey: ["workloads"],
    queryFn: ({ signal }) => get<Page<Workload>>(apiUrl("workloads"), signal),
    staleTime: 30_000,
  });
}

export function useTargets() {
  return useQuery({
    queryKey: ["targets"],
    queryFn: ({ signal }) => get<Page<Target>>(apiUrl("targets"), signal),
    staleTime: 30_000,
  });
}

export const eventsUrl = (id: string) => apiUrl(path(id, "/events"));

export const recipeUrl = (id: string, trial: number, format = "tauten") =>
  apiUrl(path(id, "/recipe"), { trial, format: format === "tauten" ? undefined : format });

export const artifactUrl = (id: string, trial: number) => apiUrl(path(id, `/trials/${trial}/artifact`));

export function useWorkers(isThere: boolean) {
  return useQuery({
    queryKey: ["workers"],
    queryFn: ({ signal }) => get<Page<Worker>>(apiUrl("workers"), signal),
    refetchInterval: 5_000,
    enabled: isThere,
  });
}

/** Who the caller is, where the service knows callers. */
export function useSession(isThere: boolean) {
  return useQuery({
    queryKey: ["session"],
    queryFn: ({ signal }) => get<Session>(apiUrl("session"), signal),
    enabled: isThere,
  });
}

export function useKeys() {
  return useQuery({ queryKey: ["keys"], queryFn: ({ signal }) => get<Page<Key>>(apiUrl("keys"), signal), retry: false });
}

export function useKeyChange<Input, Output>(change: (input: Input) => Promise<Output>) {
  const client = useQueryClient();
  return useMutation({ mutationFn: change, onSettled: () => client.invalidateQueries({ queryKey: ["keys"] }) });
}

export const createKey = (body: { name: string; scope: string }) => post<Key & { key: string }>(apiUrl("keys"), body);

export const revokeKey = (id: string) => remove(apiUrl(`keys/${encodeURIComponent(id)}`));

export const signOut = () => remove(apiUrl("session"));

export function useProfile(id: string) {
  return useQuery({
    queryKey: [...jobKey(id), "profile"],
    queryFn: ({ signal }) => get<Profile>(apiUrl(path(id, "/profile")), signal),
    retry: false,
  });
}
