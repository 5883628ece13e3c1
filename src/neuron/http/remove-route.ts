import { CortexError } from "../../base/errors.ts";
import { RemovalSchema } from "../../protocol/removals.ts";
import type { ModelRemover } from "../supply/model-remover.ts";
import type { Route } from "./route.ts";

/** Removal of a pulled model's files. */
export function removeRoute(remover: ModelRemover): Route {
  return {
    method: "DELETE",
    path: "/models/{id}",
    summary:
      "Removes a pulled model's files; ?force=true unloads it first, ?dry_run=true only says what would go",
    tag: "models",
    answer: RemovalSchema,
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
