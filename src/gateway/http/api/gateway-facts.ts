import type { ApiFacts } from "../../../api-docs/api-route.ts";
import { METRICS_PATH } from "../metrics.ts";
import { ADMIN_FACTS } from "./admin-facts.ts";
import { MODEL_FACTS } from "./model-facts.ts";
import { PAGE_FACTS } from "./page-facts.ts";
import { QUERY_FACTS } from "./query-facts.ts";
import { RECORD_FACTS } from "./record-facts.ts";

/**
 * What is documented of each route, by method and path. A test holds it against the routes that are served, in both
 * directions; the answer to a wrong method is made of it.
 */
export const GATEWAY_FACTS: Readonly<Record<string, ApiFacts>> = {
  ...MODEL_FACTS,
  ...QUERY_FACTS,
  ...ADMIN_FACTS,
  ...RECORD_FACTS,
  ...PAGE_FACTS,
};

/**
 * Which methods a path takes, as a header would list them; undefined where clients have no such path. The one without
 * its /v1 is the same.
 */
export function findMethods(path: string): string | undefined {
  return matchPath(path) ?? matchPath(`/v1${path}`);
}

function matchPath(path: string): string | undefined {
  const methods = PATTERNS.flatMap(({ pattern, method, takesHead }) => {
    if (!pattern.test(path)) return [];
    return takesHead ? [method, "HEAD"] : [method];
  });
  return methods.length === 0 ? undefined : methods.join(", ");
}

const PATTERNS = Object.entries(GATEWAY_FACTS).flatMap(([key, { answer, events }]) => {
  const [method = "", path = ""] = key.split(" ");
  // Ids of models may hold slashes.
  const any = path === "/v1/models/{id}" ? ".+" : "[^/]+";
  const pattern = new RegExp(`^${path.replaceAll(/\{\w+\}/g, any)}$`);
  // The answer to a HEAD is that to a GET without its body, and a stream has no end.
  const isStream = events !== undefined && answer === undefined;
  const isElsewhere = path === METRICS_PATH;
  return isElsewhere ? [] : [{ pattern, method, takesHead: method === "GET" && !isStream }];
});
