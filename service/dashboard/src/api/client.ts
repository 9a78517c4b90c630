import { Problem } from "./problem";
import type { Page } from "./types";

/** The address of an API resource, under whatever path prefix the page itself was served. */
export function apiUrl(path: string, query: Record<string, string | number | undefined> = {}): string {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url.href;
}

export function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  return request<T>(url, signal ? { signal } : {});
}

export function post<T>(url: string): Promise<T> {
  return request<T>(url, { method: "POST" });
}

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

async function request<T>(url: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: { accept: "application/json" } });
  } catch (error) {
    // fetch rejects with a TypeError when there was no answer; an abort must stay an abort.
    if (error instanceof TypeError) throw Problem.unreachable();
    throw error;
  }
  if (!response.ok) throw await Problem.of(response);
  return (await response.json()) as T;
}
