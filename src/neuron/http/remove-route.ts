import { COMMON_ERRORS } from "../../api-docs/routes/errors.ts";
import { CHAT_MODEL } from "../../api-docs/routes/example-values.ts";
import { CortexError } from "../../base/errors.ts";
import { words } from "../../protocol/openai/request-schema.ts";
import { RemovalSchema } from "../../protocol/removals.ts";
import type { ModelRemover } from "../supply/model-remover.ts";
import type { Route } from "./route.ts";

/** Removal of a pulled model's files. */
export function removeRoute(remover: ModelRemover): Route {
  return {
    method: "DELETE",
    path: "/models/{id}",
    summary: "Removes a pulled model's files",
    tag: "models",
    parameters: [
      {
        ...{ name: "force", in: "query", description: "true unloads it first" },
        schema: words("true", "false"),
      },
      {
        ...{ name: "dry_run", in: "query", description: "true only says what would go" },
        schema: words("true", "false"),
      },
    ],
    answer: RemovalSchema,
    errors: [...COMMON_ERRORS, "forbidden", "model_not_found", "conflict"],
    examples: [
      {
        name: "dry-run",
        summary: "What would go, where [supply] remove is not switched on",
        path: { id: CHAT_MODEL },
        query: { dry_run: "true" },
        error: "forbidden",
      },
      {
        name: "mistyped",
        summary: "A flag that is none",
        path: { id: CHAT_MODEL },
        query: { dry_run: "yes" },
        error: "invalid_request",
      },
    ],
    handle: async (request, params) => {
      const { searchParams } = new URL(request.url);
      const removal = await remover.remove(params["id"] ?? "", {
        force: readFlag(searchParams, "force"),
        dryRun: readFlag(searchParams, "dry_run"),
        signal: request.signal,
      });
      return Response.json(removal);
    },
  };
}

/** A mistyped dry_run must not remove anything. */
function readFlag(params: URLSearchParams, name: string): boolean {
  const text = params.get(name) ?? "false";
  if (text === "true" || text === "false") return text === "true";
  throw new CortexError(
    "invalid_request",
    `'${name}' is '${text.slice(0, 64)}': it must be true or false`,
    { param: name },
  );
}
