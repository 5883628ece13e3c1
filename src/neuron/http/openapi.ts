import { describeOperation } from "../../api-docs/describe-operation.ts";
import { VERSION } from "../../base/version.ts";
import type { Route } from "./route.ts";

/** The routes as an OpenAPI document; TypeBox schemas are JSON schemas already. */
export function describeRoutes(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const operations = paths[route.path] ?? {};
    operations[route.method.toLowerCase()] = describeRoute(route);
    paths[route.path] = operations;
  }
  return {
    openapi: "3.0.3",
    info: { title: "cortex neuron", version: VERSION, description: "Inference daemon of one host" },
    paths,
    components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
  };
}

function describeRoute(route: Route): object {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  return {
    ...describeOperation({ ...route, errors: "An error in OpenAI's envelope" }),
    tags: [route.tag],
    parameters: names.map((name) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string" },
    })),
    ...(route.isOpen === true ? {} : { security: [{ token: [] }, {}] }),
  };
}
