import type { Job } from "../api/types";

export const ORDERS = ["newest", "oldest", "workload", "target", "state", "progress", "hypervolume"] as const;
export type Order = (typeof ORDERS)[number];

export const orderOf = (query: URLSearchParams): Order =>
  ORDERS.find((order) => order === query.get("sort")) ?? "newest";

/** The jobs that hold every word in their names, state or id, in an order; equal ones the newest first. */
export function arranged(jobs: Job[], text: string, order: Order): Job[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = jobs.filter((job) => {
    const { workload, target, sampler } = job.spec;
    const all = [job.id, job.state, job.reason, workload, target, sampler].join(" ").toLowerCase();
    return words.every((word) => all.includes(word));
  });
  const newest = (a: Job, b: Job) => Date.parse(b.created_at) - Date.parse(a.created_at);
  return found.sort((a, b) => compare(a, b, order) || newest(a, b));
}

function compare(a: Job, b: Job, order: Order): number {
  switch (order) {
    case "newest":
      return 0;
    case "oldest":
      return Date.parse(a.created_at) - Date.parse(b.created_at);
    case "workload":
      return a.spec.workload.localeCompare(b.spec.workload);
    case "target":
      return a.spec.target.localeCompare(b.spec.target);
    case "state":
      return a.state.localeCompare(b.state);
    case "progress":
      return share(b) - share(a);
    case "hypervolume":
      return b.progress.hypervolume - a.progress.hypervolume;
  }
}

const share = ({ progress: { trials } }: Job): number => trials.done / Math.max(trials.total, 1);
