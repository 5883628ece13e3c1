import { Elysia } from "elysia";
import { CortexError } from "../../base/errors.ts";
import { type AdminRoutesOptions, adminRoutes } from "./admin.ts";
import { describeGateway } from "./api/describe-gateway.ts";
import { findMethods } from "./api/gateway-facts.ts";
import { listServed } from "./api/served-routes.ts";
import { type DashboardRoutesOptions, dashboardRoutes } from "./dashboard.ts";
import { docsRoutes } from "./docs.ts";
import { type ModelRoutesOptions, modelRoutes } from "./models.ts";
import { type ProbeRoutesOptions, probeRoutes } from "./probes.ts";
import { type ResponseRoutesOptions, responseRoutes } from "./responses.ts";

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
  const app = new Elysia();
  return app
    .onError({ as: "global" }, ({ code, error, request }) => {
      if (code === "NOT_FOUND") return options.answerError(notFound(request), request);
      if (code !== "VALIDATION" && code !== "PARSE") return options.answerError(error, request);
      const first = code === "VALIDATION" ? error.all[0] : undefined;
      const at = first !== undefined && "path" in first ? `${first.path}: ` : "";
      const why = first !== undefined && "message" in first ? first.message : "not valid JSON";
      const where = request.method === "GET" ? "Query" : "Body";
      const text = `${where}: ${at}${why}`;
      return options.answerError(new CortexError("invalid_request", text), request);
    })
    .use(probeRoutes(options))
    .use(modelRoutes(options))
    .use(responseRoutes(options))
    .use(adminRoutes(options))
    .use(dashboardRoutes(options))
    .use(docsRoutes(() => describeGateway(listServed(app.routes))));
}

/** 404, or 405 when the path exists with another method. */
export function notFound(request: { readonly method: string; readonly url: string }): CortexError {
  const { pathname } = new URL(request.url, "http://gateway");
  const allowed = findMethods(pathname);
  return allowed === undefined
    ? new CortexError("route_not_found", `No route ${request.method} ${pathname}`)
    : new CortexError("method_not_allowed", `${pathname} takes ${allowed}, not ${request.method}`);
}
