import { reportAnswer, reportSilence } from "./connection";
import { Problem } from "./problem";
import type { Page } from "./types";

type Query = Record<string, string | number | undefined>;

/** The address of an API resource, under whatever path prefix the page itself was served. */
export const apiUrl = (path: string, query: Query = {}): string => serviceUrl(`api/v1/${path}`, query);

/** The address of anything that the service serves. */
export function serviceUrl(path: string, query: Query = {}): string {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url.href;
}

export async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  const response = await request(url, signal ? { signal } : {});
  return (await response.json()) as T;
}

export async function getText(url: string, signal?: AbortSignal, accept = "*/*"): Promise<string> {
  const response = await request(url, { headers: { accept }, ...(signal ? { signal } : {}) });
  return response.text();
}

export async function post<T>(url: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: JSON_HEADERS };
  const response = await request(url, { method: "POST", ...sent, ...(signal ? { signal } : {}) });
  return (await response.json()) as T;
}

/** Shows an API key; the service remembers it in a cookie that no script can read. */
export async function signIn(key: string): Promise<void> {
  await request(apiUrl("session"), { method: "POST", headers: JSON_HEADERS, body: JSON.stringify({ key }) }, true);
}

/** A call that answers with nothing that is needed. */
export async function remove(url: string): Promise<void> {
  await request(url, { method: "DELETE" });
}

const JSON_HEADERS = { accept: "application/json", "content-type": "application/json" };

/** Every item of a list, page by page. */
export async function getAll<Item>(path: string, signal: AbortSignal): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const page = await get<Page<Item>>(apiUrl(path, { limit: 1000, cursor }), signal);
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}

async function request(url: string, init: RequestInit, isSignIn = false): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { headers: { accept: "application/json" }, ...init });
  } catch (error) {
    // fetch rejects with a TypeError when there was no answer; an abort must stay an abort.
    if (!(error instanceof TypeError)) throw error;
    reportSilence();
    throw Problem.unreachable();
  }
  reportAnswer(response.status, isSignIn && response.ok);
  if (!response.ok) throw await Problem.of(response);
  return response;
}
