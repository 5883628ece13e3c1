// @ts-expect-error Bun gives the file's path; the package declares no types for it.
import stylePath from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
// @ts-expect-error As above.
import scriptPath from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import { describeRoutes } from "./openapi.ts";
import type { Route } from "./route.ts";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>cortex neuron</title>
<link rel="stylesheet" href="/swagger/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/swagger/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({ url: "/swagger/json", dom_id: "#swagger-ui" });</script>
</body>
</html>
`;

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
    page("/swagger", "This documentation", () => answer(PAGE, "text/html; charset=utf-8")),
    page("/swagger/json", "This documentation as OpenAPI", () =>
      Response.json(describeRoutes(routes)),
    ),
    page("/swagger/swagger-ui-bundle.js", "Script of the documentation", () =>
      answer(Bun.file(scriptPath), "text/javascript; charset=utf-8"),
    ),
    page("/swagger/swagger-ui.css", "Style of the documentation", () =>
      answer(Bun.file(stylePath), "text/css; charset=utf-8"),
    ),
  ];
}

function answer(body: string | Blob, contentType: string): Response {
  return new Response(body, { headers: { "content-type": contentType } });
}
