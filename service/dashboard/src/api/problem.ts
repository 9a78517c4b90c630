import type { ProblemDocument } from "./types";

/** A request that did not succeed. `status` is 0 when there was no answer at all. */
export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  readonly errors: { pointer: string; detail: string }[];

  constructor(status: number, document: ProblemDocument) {
    super(document.detail ?? document.title ?? `The service answered ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.title = document.title ?? `The service answered ${status}`;
    this.errors = document.errors ?? [];
  }

  static unreachable(): Problem {
    return new Problem(0, {
      title: "The service does not answer",
      detail: "Check that it is running (`tauten serve`). This page goes on by itself once it is back.",
    });
  }

  static async of(response: Response): Promise<Problem> {
    const isProblem = response.headers.get("content-type")?.includes("json") ?? false;
    const document = isProblem ? ((await response.json().catch(() => ({}))) as ProblemDocument) : {};
    return new Problem(response.status, document);
  }
}
