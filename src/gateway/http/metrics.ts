import type { GatewayMetrics } from "../../metrics/gateway-metrics.ts";
import { readNames } from "../../metrics/vllm-names.ts";
import { Listener, type ListenerOptions } from "../listener/listener.ts";
import { notFound } from "./app.ts";
import { sendError, toCortexError } from "./errors.ts";

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
        if (path !== "/metrics" || (method !== "GET" && method !== "HEAD")) {
          sendError(reply, notFound({ method, url: target }), NOBODY);
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

async function render(metrics: GatewayMetrics, target: string): Promise<string> {
  const query = target.indexOf("?");
  const names = readNames(new URLSearchParams(query < 0 ? "" : target.slice(query)));
  return await metrics.render(names);
}
