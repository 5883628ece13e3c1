import { Elysia } from "elysia";
import { CortexError } from "../../base/errors.ts";
import { type AdminRoutesOptions, adminRoutes } from "./admin.ts";
import { type OpenaiRoutesOptions, openaiRoutes } from "./openai.ts";
import { swaggerRoutes } from "./swagger.ts";

/** Which methods a path of ours takes, for a 405 that says so. */
const METHODS: Readonly<Record<string, string>> = {
  "/": "GET, HEAD",
  "/health": "GET, HEAD",
  "/v1/models": "GET, HEAD",
  "/v1/chat/completions": "POST",
  "/v1/completions": "POST",
  "/v1/embeddings": "POST",
  "/v1/rerank": "POST",
  "/admin/status": "GET, HEAD",
  "/admin/load": "POST",
  "/admin/unload": "POST",
  "/admin/plan": "POST",
  "/swagger": "GET, HEAD",
  "/swagger/json": "GET, HEAD",
};

export interface AppOptions extends OpenaiRoutesOptions, AdminRoutesOptions {
  /** The answer to anything thrown. */
  readonly answerError: (thrown: unknown) => Response;
}

/** Every route but the hot ones. */
export function createApp(options: AppOptions) {
  return new Elysia()
    .onError({ as: "global" }, ({ code, error, request }) => {
      if (code === "NOT_FOUND") return options.answerError(notFound(request));
      if (code !== "VALIDATION" && code !== "PARSE") return options.answerError(error);
      const first = code === "VALIDATION" ? error.all[0] : undefined;
      const at = first !== undefined && "path" in first ? `${first.path}: ` : "";
      const why = first !== undefined && "message" in first ? first.message : "not valid JSON";
      return options.answerError(new CortexError("invalid_request", `Body: ${at}${why}`));
    })
    .use(openaiRoutes(options))
    .use(adminRoutes(options))
    .use(swaggerRoutes());
}

/** 404, or 405 when the path exists with another method. */
export function notFound(request: { readonly method: string; readonly url: string }): CortexError {
  const { pathname } = new URL(request.url, "http://gateway");
  const allowed = METHODS[pathname];
  return allowed === undefined
    ? new CortexError("route_not_found", `No route ${request.method} ${pathname}`)
    : new CortexError("method_not_allowed", `${pathname} takes ${allowed}, not ${request.method}`);
}
