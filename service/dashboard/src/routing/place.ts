import { useMemo, useSyncExternalStore } from "react";

/** Where the page is. It lives in the hash, so that any server and any path prefix can serve the page. */
export interface Place {
  path: string[];
  query: URLSearchParams;
}

const CHANGED = "tauten:place";

export function usePlace(): Place {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  return useMemo(() => parse(hash), [hash]);
}

export function href(path: string[], query: URLSearchParams = new URLSearchParams()): string {
  const search = query.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${search && `?${search}`}`;
}

/** Changes parts of the query where the page is; `null` removes one. Makes no entry in the history. */
export function setQuery(changes: Record<string, string | null>): void {
  const { path, query } = parse(window.location.hash);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) query.delete(name);
    else query.set(name, value);
  }
  window.history.replaceState(window.history.state, "", href(path, query));
  // replaceState is silent, unlike a change of the hash.
  window.dispatchEvent(new Event(CHANGED));
}

function parse(hash: string): Place {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean);
  return { path: parts.map(decode), query: new URLSearchParams(search) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function subscribe(notify: () => void): () => void {
  window.addEventListener("hashchange", notify);
  window.addEventListener(CHANGED, notify);
  return () => {
    window.removeEventListener("hashchange", notify);
    window.removeEventListener(CHANGED, notify);
  };
}
