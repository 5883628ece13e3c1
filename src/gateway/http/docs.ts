import { Elysia } from "elysia";
import { DOCS_PATH, docsPage, findDocsFile } from "../../api-docs/docs-page.ts";
import { CortexError } from "../../base/errors.ts";

/** The API's description as a page and as an OpenAPI document. `describe` is asked once, by the first reader. */
export function docsRoutes(describe: () => object) {
  let document: object | undefined;
  return new Elysia({ name: "docs", prefix: DOCS_PATH })
    .get("/", () => docsPage("cortex API"))
    .get("/:file", ({ params }) => {
      const file = findDocsFile(params.file, () => (document ??= describe()));
      if (file !== undefined) return file;
      throw new CortexError("route_not_found", `The documents have no file '${params.file}'`);
    });
}
