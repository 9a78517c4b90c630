import type { ReactNode } from "react";
import { Problem } from "../api/problem";

/** A problem in the words of the service, with each offending field, and what can be done. */
export function ProblemNotice({ error, children }: { error: Error; children?: ReactNode }) {
  const problem = error instanceof Problem ? error : null;
  const title = problem?.title ?? "Something went wrong on this page";
  return (
    <div className="notice" data-tone="bad" role="alert">
      <strong>{title}</strong>
      {error.message !== title && <p>{error.message}</p>}
      {problem && problem.errors.length > 0 && (
        <ul>
          {problem.errors.map(({ pointer, detail }) => (
            <li key={pointer + detail}>
              <code>{pointer}</code> {detail}
            </li>
          ))}
        </ul>
      )}
      {children}
    </div>
  );
}

/** Holds the place of what is on its way. */
export function Loading({ what }: { what: string }) {
  return (
    <p className="loading" role="status">
      Loading {what} …
    </p>
  );
}
