import type { TSchema } from "@sinclair/typebox";
import type { ApiMethod } from "../../../api-docs/api-route.ts";
import { ENDPOINTS } from "../../proxy/endpoints.ts";
import { METRICS_PATH } from "../metrics.ts";
import { STREAM_PATHS } from "../streams.ts";

/** A route as the code that serves it knows it. */
export interface ServedRoute {
  readonly method: ApiMethod;
  /** With parameters as {name}. */
  readonly path: string;
  /** What the framework checks of its body. */
  readonly body?: TSchema;
}

/** A route of the framework, as far as it is looked at. */
export interface FrameworkRoute {
  readonly method: string;
  readonly path: string;
  readonly hooks: { readonly body?: unknown };
}

/**
 * Every route that a gateway serves, of the tables by which requests are told apart; paths without the /v1 lead to the
 * same and are not listed.
 */
export function listServed(framework: readonly FrameworkRoute[]): readonly ServedRoute[] {
  const endpoints = new Set([...ENDPOINTS.values()].map(({ route }) => route));
  return [
    ...[...endpoints].map((path) => ({ method: "POST", path }) as const),
    ...framework.map(({ method, path, hooks }) => ({
      method: method as ApiMethod,
      path: toPattern(path),
      ...(hooks.body === undefined ? {} : { body: hooks.body as TSchema }),
    })),
    ...STREAM_PATHS.map((path) => ({ method: "GET", path }) as const),
    { method: "GET", path: METRICS_PATH },
  ];
}

/** `/v1/responses/:id/` is `/v1/responses/{id}`. */
function toPattern(path: string): string {
  const pattern = path.replaceAll(/:(\w+)/g, "{$1}").replace(/\*$/, "{id}");
  return pattern.length > 1 ? pattern.replace(/\/$/, "") : pattern;
}
