import { Type as t } from "@sinclair/typebox";
import { DOCS_PATH, docsPage, findDocsFile } from "../../api-docs/docs-page.ts";
import { CortexError } from "../../base/errors.ts";
import { describeNeuron } from "./describe-neuron.ts";
import type { Route } from "./route.ts";

/**
 * The documents of the given routes and of themselves, open to everybody: a page that a browser asks for carries no
 * token, and there is no secret in it.
 */
export function docsRoutes(routes: readonly Route[]): readonly Route[] {
  let document: object | undefined;
  const own: readonly Route[] = [
    {
      method: "GET",
      path: DOCS_PATH,
      tag: "neuron",
      summary: "This document as a page",
      contentType: "text/html; charset=utf-8",
      isOpen: true,
      examples: [{ name: "page", summary: "The page" }],
      handle: () => docsPage("cortex neuron API"),
    },
    {
      method: "GET",
      path: `${DOCS_PATH}/{file}`,
      tag: "neuron",
      summary: "openapi.json, which is this document, and the page's other files",
      answer: t.Object({ openapi: t.String() }),
      errors: ["route_not_found"],
      isOpen: true,
      examples: [
        { name: "document", summary: "This document", path: { file: "openapi.json" } },
        {
          name: "no-file",
          summary: "A file that there is not",
          path: { file: "none.js" },
          error: "route_not_found",
        },
      ],
      handle: (_, { file = "" }) => {
        const answer = findDocsFile(file, () => (document ??= describeNeuron([...routes, ...own])));
        if (answer !== undefined) return answer;
        throw new CortexError("route_not_found", `The documents have no file '${file}'`);
      },
    },
  ];
  return own;
}
