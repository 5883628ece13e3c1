import { timingSafeEqual } from "node:crypto";
import { Elysia } from "elysia";
import { CortexError } from "../../base/errors.ts";
import { newRequestId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import { docsRoutes } from "./docs-routes.ts";
import { asCortexError, toErrorResponse } from "./errors.ts";
import type { Route } from "./route.ts";

/** Beyond our own limit, so that a body which is too large gets our envelope and not Bun's bare 413. */
const BUN_BODY_BYTES_MAX = 2 ** 40;

/** A listening server. */
export interface NeuronServer {
  readonly url: string;
  /** Refuses new connections and waits for the open ones, at most graceMs, then cuts them. */
  stop(graceMs: number): Promise<void>;
}

/** Serves the routes and their documents at host:port. @throws CortexError when the address is taken */
export function serveRoutes(
  documented: readonly Route[],
  options: { readonly listen: string; readonly token: string | undefined; readonly log: Log },
): NeuronServer {
  const app = new Elysia({ normalize: false });
  const methods = new Map<string, string[]>();
  // Here, so that nothing can be served without being documented.
  const routes = [...documented, ...docsRoutes(documented)];
  for (const route of routes) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
    methods.set(path, [...(methods.get(path) ?? []), route.method]);
    app.route(
      route.method,
      path,
      ({ request, params }: { request: Request; params: Record<string, string> }) =>
        answer(route, { request, params }, options),
      { parse: "none" },
    );
  }
  app.onError(({ error, code, request }) => {
    const known = code === "NOT_FOUND" ? noRoute(request, methods) : error;
    return toErrorResponse(asCortexError(known, options.log), newRequestId());
  });
  return listen(app, options.listen);
}

async function answer(
  route: Route,
  context: { readonly request: Request; readonly params: Readonly<Record<string, string>> },
  options: { readonly token: string | undefined; readonly log: Log },
): Promise<Response> {
  try {
    if (route.isOpen !== true) checkToken(context.request, options.token);
    return await route.handle(context.request, context.params);
  } catch (error) {
    return toErrorResponse(asCortexError(error, options.log), newRequestId());
  }
}

function checkToken(request: Request, token: string | undefined): void {
  if (token === undefined) return;
  const given = request.headers.get("authorization") ?? "";
  const [expected, actual] = [`Bearer ${token}`, given].map((text) =>
    new Bun.CryptoHasher("sha256").update(text).digest(),
  );
  if (expected === undefined || actual === undefined || !timingSafeEqual(expected, actual)) {
    throw new CortexError("unauthorized", "This neuron wants its bearer token");
  }
}

function noRoute(request: Request, methods: ReadonlyMap<string, readonly string[]>): CortexError {
  const { pathname } = new URL(request.url);
  const allowed = methods.get(pathname) ?? findByPattern(pathname, methods);
  if (allowed === undefined) {
    return new CortexError("route_not_found", `No route ${request.method} ${pathname}`);
  }
  return new CortexError(
    "method_not_allowed",
    `${request.method} is not allowed at ${pathname}, only ${allowed.join(", ")}`,
  );
}

function findByPattern(
  pathname: string,
  methods: ReadonlyMap<string, readonly string[]>,
): readonly string[] | undefined {
  for (const [path, allowed] of methods) {
    const expression = new RegExp(`^${path.replaceAll(/:\w+/g, "[^/]+")}$`);
    if (expression.test(pathname)) return allowed;
  }
  return undefined;
}

function listen(app: Elysia, address: string): NeuronServer {
  const colon = address.lastIndexOf(":");
  const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(address.slice(colon + 1));
  try {
    app.listen({
      hostname,
      port,
      reusePort: false,
      // Streams pause for longer than any timeout while a prompt is read; keep-alives are ours.
      idleTimeout: 0,
      maxRequestBodySize: BUN_BODY_BYTES_MAX,
    });
  } catch (error) {
    throw new CortexError("unavailable", `Cannot listen on ${address}`, { cause: error });
  }
  const server = app.server;
  if (server === null) throw new CortexError("unavailable", `Cannot listen on ${address}`);
  const host = hostname === "0.0.0.0" || hostname === "::" ? "127.0.0.1" : hostname;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    stop: async (graceMs) => {
      const cut = setTimeout(() => void server.stop(true), graceMs);
      await server.stop(false);
      clearTimeout(cut);
    },
  };
}
