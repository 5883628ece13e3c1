// @ts-expect-error: the package has no types; an import of type "file" is a path.
import stylePath from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
// @ts-expect-error: as above.
import scriptPath from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };

/** A page that shows the OpenAPI document at /swagger/json; its files are embedded, for hosts without the internet. */
export function swaggerPage(title: string): Response {
  const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/swagger/style.css"></head>
<body><div id="ui"></div><script src="/swagger/script.js"></script>
<script>SwaggerUIBundle({ url: "/swagger/json", dom_id: "#ui", validatorUrl: null });</script></body>
</html>
`;
  return new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } });
}

/** What the page asks for at /swagger/script.js. */
export function swaggerScript(): Response {
  return file(scriptPath, "text/javascript; charset=utf-8");
}

/** What the page asks for at /swagger/style.css. */
export function swaggerStyle(): Response {
  return file(stylePath, "text/css; charset=utf-8");
}

function file(path: string, contentType: string): Response {
  return new Response(Bun.file(path), {
    headers: { "content-type": contentType, "cache-control": "max-age=86400" },
  });
}
