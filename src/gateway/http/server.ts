import { CortexError, describeError } from "../../base/errors.ts";
import { newRequestId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { GatewayMetrics } from "../../metrics/gateway-metrics.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Operations } from "../operations/operations.ts";
import type { DataPlane } from "../proxy/data-plane.ts";
import { createApp, notFound } from "./app.ts";
import { describeForLog, errorResponse, toCortexError } from "./errors.ts";
import { HOT_PATHS } from "./openai.ts";

export interface ServerOptions {
  readonly address: string;
  readonly dataPlane: DataPlane;
  readonly fleet: Fleet;
  readonly operations: Operations;
  readonly log: Log;
  readonly nowMs: () => number;
}

export interface RunningServer {
  readonly url: string;
  /** Refuses new connections and resolves when the last request has ended. */
  stop(): Promise<void>;
  /** Cuts what still runs. */
  kill(): Promise<void>;
}

/** Idle connections are kept longer than the 75 s that clients' pools expect; requests switch this timer off. */
const IDLE_SECONDS = 120;
/** Bun's own limit answers without an envelope: the data plane checks instead. */
const BUN_BODY_BYTES_MAX = Number.MAX_SAFE_INTEGER;

/** Serves clients: hot paths by hand, everything else through Elysia. */
export function serveClients(options: ServerOptions): RunningServer {
  const { dataPlane, log } = options;
  const app = createApp({
    ...options,
    addressOf: (request) => server.requestIP(request)?.address,
    answerError: (thrown) => answerError(thrown, ""),
  });
  const answerError = (thrown: unknown, requestId: string): Response => {
    const bug = describeForLog(thrown);
    if (bug !== undefined) log.error("Request failed", { request: requestId, cause: bug });
    return errorResponse(toCortexError(thrown), requestId);
  };
  const answer = async (request: Request, path: string, requestId: string): Promise<Response> => {
    if (HOT_PATHS.has(path)) {
      if (request.method !== "POST") throw notFound(request);
      return await dataPlane.handle(request, { path, requestId });
    }
    const response = await app.fetch(request);
    response.headers.set("x-request-id", requestId);
    return response;
  };
  const server = listen(options.address, async (request, self) => {
    // Streams may pause for as long as a prompt takes.
    self.timeout(request, 0);
    const requestId = newRequestId();
    try {
      return await answer(request, pathOf(request.url), requestId);
    } catch (thrown) {
      return answerError(thrown, requestId);
    }
  });
  return toRunning(server);
}

/** Serves Prometheus on an address of its own, which need not be reachable for clients. */
export function serveMetrics(options: {
  readonly address: string;
  readonly metrics: GatewayMetrics;
}): RunningServer {
  const { registry } = options.metrics;
  const server = listen(options.address, async (request) => {
    if (pathOf(request.url) !== "/metrics") return errorResponse(notFound(request), newRequestId());
    return new Response(await registry.metrics(), {
      headers: { "content-type": registry.contentType },
    });
  });
  return toRunning(server);
}

type Handler = (request: Request, server: Bun.Server<undefined>) => Promise<Response>;

function listen(address: string, fetch: Handler): Bun.Server<undefined> {
  const colon = address.lastIndexOf(":");
  const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
  try {
    return Bun.serve({
      hostname,
      port: Number(address.slice(colon + 1)),
      // With it a second gateway would start silently and take half of the connections.
      reusePort: false,
      idleTimeout: IDLE_SECONDS,
      maxRequestBodySize: BUN_BODY_BYTES_MAX,
      development: false,
      fetch,
    });
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    const why = code === "EADDRINUSE" ? "the port is in use" : describeError(cause);
    throw new CortexError("invalid_config", `Cannot listen on ${address}: ${why}`, {
      cause,
      hint: "Choose another address, or stop what listens there",
    });
  }
}

function toRunning(server: Bun.Server<undefined>): RunningServer {
  return {
    url: server.url.href.replace(/\/$/, ""),
    stop: () => server.stop(false),
    kill: () => server.stop(true),
  };
}

function pathOf(url: string): string {
  const from = url.indexOf("/", 8);
  const end = url.indexOf("?", from);
  return end < 0 ? url.slice(from) : url.slice(from, end);
}
