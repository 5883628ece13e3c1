import { swaggerPage, swaggerScript, swaggerStyle } from "../../api-docs/swagger-page.ts";
import { describeRoutes } from "./openapi.ts";
import type { Route } from "./route.ts";

/** The documentation of the given routes, with every file served from here: hosts without internet see it too. */
export function swaggerRoutes(routes: readonly Route[]): readonly Route[] {
  const page = (path: string, summary: string, handle: Route["handle"]): Route => ({
    method: "GET",
    path,
    summary,
    tag: "neuron",
    handle,
  });
  return [
    page("/swagger", "This documentation", () => swaggerPage("cortex neuron")),
    page("/swagger/json", "This documentation as OpenAPI", () =>
      Response.json(describeRoutes(routes)),
    ),
    page("/swagger/script.js", "Script of the documentation", swaggerScript),
    page("/swagger/style.css", "Style of the documentation", swaggerStyle),
  ];
}
