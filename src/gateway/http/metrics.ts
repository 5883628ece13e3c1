import { CortexError } from "../../base/errors.ts";
import type { GatewayMetrics } from "../../metrics/gateway-metrics.ts";
import { readNames } from "../../metrics/vllm-names.ts";
import { Listener, type ListenerOptions } from "../listener/listener.ts";
import { sendError, toCortexError } from "./errors.ts";

/** What Prometheus scrapes by default. */
export const METRICS_PATH = "/metrics";

/** A scrape has no body. */
const BODY_BYTES_MAX = 1_024;

const NOBODY = { dialect: "chat", requestId: "" } as const;

/** Serves Prometheus on an address of its own, which need not be reachable for clients. */
export function serveMetrics(options: {
  readonly address: string;
  readonly handed?: ListenerOptions["handed"];
  readonly metrics: GatewayMetrics;
}): Listener {
  const { address, handed, metrics } = options;
  return new Listener({
    address,
    handed,
    bodyBytesMax: BODY_BYTES_MAX,
    handler: {
      handle: ({ method, path, target }, reply) => {
        if (path !== METRICS_PATH || (method !== "GET" && method !== "HEAD")) {
          sendError(reply, refusal(method, path), NOBODY);
          return;
        }
        render(metrics, target).then(
          (text) => reply.send(200, `Content-Type: ${metrics.contentType}\r\n`, text),
          (thrown) => sendError(reply, toCortexError(thrown), NOBODY),
        );
      },
      refuse: (error, reply) => sendError(reply, toCortexError(error), NOBODY),
    },
  });
}

function refusal(method: string, path: string): CortexError {
  return path === METRICS_PATH
    ? new CortexError("method_not_allowed", `${path} takes GET, HEAD, not ${method}`)
    : new CortexError("route_not_found", `No route ${method} ${path} where figures are served`);
}

async function render(metrics: GatewayMetrics, target: string): Promise<string> {
  const query = target.indexOf("?");
  const names = readNames(new URLSearchParams(query < 0 ? "" : target.slice(query)));
  return await metrics.render(names);
}
