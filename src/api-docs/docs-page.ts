// @ts-expect-error: the package has no types; an import of type "file" is a path.
import stylePath from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
// @ts-expect-error: as above.
import scriptPath from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import { pageHeaders } from "../base/page-headers.ts";

/** Where the page is; what it loads lies below. */
export const DOCS_PATH = "/docs";

/** The page's files by their names below {@link DOCS_PATH}. */
export const DOCS_FILES = ["openapi.json", "start.js", "page.js", "page.css"] as const;
export type DocsFile = (typeof DOCS_FILES)[number];

const HEADERS = pageHeaders();

/** Changes with the executable alone. */
const CACHING = "max-age=86400";

const START = `SwaggerUIBundle({
  url: "${DOCS_PATH}/openapi.json",
  dom_id: "#ui",
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
});
`;

/** A page that shows an OpenAPI document; all that it loads is embedded, for hosts without the internet. */
export function docsPage(title: string): Response {
  const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${DOCS_PATH}/page.css"></head>
<body><noscript>This page needs JavaScript; the document is at ${DOCS_PATH}/openapi.json.</noscript>
<div id="ui"></div><script src="${DOCS_PATH}/page.js"></script>
<script src="${DOCS_PATH}/start.js"></script></body>
</html>
`;
  return new Response(page, {
    headers: { ...HEADERS, "content-type": "text/html; charset=utf-8" },
  });
}

/** One of the page's files; undefined for a name that it has not. */
export function findDocsFile(name: string, document: () => object): Response | undefined {
  switch (name) {
    case "openapi.json":
      return Response.json(document(), { headers: HEADERS });
    case "start.js":
      return file(START, "text/javascript; charset=utf-8");
    case "page.js":
      return file(Bun.file(scriptPath), "text/javascript; charset=utf-8");
    case "page.css":
      return file(Bun.file(stylePath), "text/css; charset=utf-8");
    default:
      return undefined;
  }
}

function file(content: string | Bun.BunFile, contentType: string): Response {
  return new Response(content, {
    headers: { ...HEADERS, "content-type": contentType, "cache-control": CACHING },
  });
}
