import { Elysia } from "elysia";
import { CortexError } from "../../base/errors.ts";
import { ENDPOINTS } from "../proxy/endpoints.ts";
import { type AdminRoutesOptions, adminRoutes } from "./admin.ts";
import { type DashboardRoutesOptions, dashboardRoutes } from "./dashboard.ts";
import { type ModelRoutesOptions, modelRoutes } from "./models.ts";
import { type ProbeRoutesOptions, probeRoutes } from "./probes.ts";
import { type ResponseRoutesOptions, responseRoutes } from "./responses.ts";
import { swaggerRoutes } from "./swagger.ts";

/** Which methods a path of ours takes, for a 405 that says so. */
const METHODS: ReadonlyMap<string, string> = new Map([
  ["/", "GET, HEAD"],
  ["/health", "GET, HEAD"],
  ["/v1/models", "GET, HEAD"],
  ["/admin/status", "GET, HEAD"],
  ["/admin/load", "POST"],
  ["/admin/unload", "POST"],
  ["/admin/remove", "POST"],
  ["/admin/plan", "POST"],
  ["/admin/drain", "POST"],
  ["/admin/undrain", "POST"],
  ["/ui", "GET, HEAD"],
  ["/ui/feed", "GET"],
  ["/swagger", "GET, HEAD"],
  ["/swagger/json", "GET, HEAD"],
]);

/** The same below /v1/responses/{id}. */
const STORED_METHODS: ReadonlyMap<string, string> = new Map([
  ["", "GET, HEAD, DELETE"],
  ["/cancel", "POST"],
  ["/input_items", "GET, HEAD"],
]);

export interface AppOptions
  extends ModelRoutesOptions,
    ResponseRoutesOptions,
    ProbeRoutesOptions,
    AdminRoutesOptions,
    DashboardRoutesOptions {
  /** The answer to anything thrown. */
  readonly answerError: (thrown: unknown, request: Request) => Response;
}

/** Every route but the hot ones. */
export function createApp(options: AppOptions) {
  return new Elysia()
    .onError({ as: "global" }, ({ code, error, request }) => {
      if (code === "NOT_FOUND") return options.answerError(notFound(request), request);
      if (code !== "VALIDATION" && code !== "PARSE") return options.answerError(error, request);
      const first = code === "VALIDATION" ? error.all[0] : undefined;
      const at = first !== undefined && "path" in first ? `${first.path}: ` : "";
      const why = first !== undefined && "message" in first ? first.message : "not valid JSON";
      const text = `Body: ${at}${why}`;
      return options.answerError(new CortexError("invalid_request", text), request);
    })
    .use(probeRoutes(options))
    .use(modelRoutes(options))
    .use(responseRoutes(options))
    .use(adminRoutes(options))
    .use(dashboardRoutes(options))
    .use(swaggerRoutes());
}

/** 404, or 405 when the path exists with another method. */
export function notFound(request: { readonly method: string; readonly url: string }): CortexError {
  const { pathname } = new URL(request.url, "http://gateway");
  const allowed = findMethods(pathname);
  return allowed === undefined
    ? new CortexError("route_not_found", `No route ${request.method} ${pathname}`)
    : new CortexError("method_not_allowed", `${pathname} takes ${allowed}, not ${request.method}`);
}

function findMethods(path: string): string | undefined {
  if (ENDPOINTS.has(path)) return "POST";
  if (path.startsWith("/v1/models/")) return "GET, HEAD";
  const stored = /^\/v1\/responses\/[^/]+(\/[a-z_]+)?$/.exec(path);
  if (stored !== null) return STORED_METHODS.get(stored[1] ?? "");
  return METHODS.get(path);
}
