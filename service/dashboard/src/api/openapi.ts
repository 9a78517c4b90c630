import { useQuery } from "@tanstack/react-query";
import { get, serviceUrl } from "./client";

interface Schema {
  enum?: string[];
  examples?: string[];
  items?: Schema;
  const?: string;
  default?: unknown;
  description?: string;
  properties?: Record<string, Schema>;
}

interface Parameter {
  name: string;
  schema?: Schema;
}

/** The parts of the service's own description that forms and menus are made from. */
export interface OpenApi {
  paths: Record<string, Record<string, { parameters?: Parameter[] }>>;
  components: { schemas: Record<string, Schema> };
}

/** What this service can do; an older or newer one may do less or more than the page knows. */
export function useOpenApi() {
  return useQuery({
    queryKey: ["openapi"],
    queryFn: ({ signal }) => get<OpenApi>(serviceUrl("openapi.json"), signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The formats that a recipe can leave in. */
export function recipeFormats(api: OpenApi | undefined): string[] {
  const parameters = api?.paths["/api/v1/jobs/{job_id}/recipe"]?.["get"]?.parameters ?? [];
  const schema = parameters.find(({ name }) => name === "format")?.schema;
  return schema?.enum ?? [schema?.const ?? "tauten"];
}

/** The values that a field of a job may have, or the usual ones; none where the service does not say. */
export function jobChoices(api: OpenApi | undefined, field: string): string[] {
  const schema = api?.components.schemas["JobIn"]?.properties?.[field];
  return schema?.enum ?? schema?.items?.enum ?? schema?.examples ?? [];
}

/** What the service says about a field of a job. */
export function jobFieldHelp(api: OpenApi | undefined, field: string): string | undefined {
  return api?.components.schemas["JobIn"]?.properties?.[field]?.description;
}

export const hasPath = (api: OpenApi | undefined, path: string): boolean => api !== undefined && path in api.paths;
