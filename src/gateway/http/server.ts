import { newRequestId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { Listener } from "../listener/listener.ts";
import type { ClientRequest, Reply, RequestHandler } from "../listener/reply.ts";
import { listHeaders } from "../listener/request-parser.ts";
import type { Operations } from "../operations/operations.ts";
import type { DataPlane } from "../proxy/data-plane.ts";
import { createApp, notFound } from "./app.ts";
import { describeForLog, errorResponse, sendError, toCortexError } from "./errors.ts";
import { HOT_PATHS } from "./openai.ts";

export interface ServerOptions {
  readonly address: string;
  readonly bodyBytesMax: number;
  readonly dataPlane: DataPlane;
  readonly fleet: Fleet;
  readonly operations: Operations;
  readonly log: Log;
  readonly nowMs: () => number;
}

/** Headers that the listener writes itself. */
const OWN_HEADERS = new Set(["connection", "content-length", "date", "transfer-encoding"]);

/** Serves clients: hot paths at once, everything else through Elysia. Throws `invalid_config` when it cannot listen. */
export function serveClients(options: ServerOptions): Listener {
  const { address, bodyBytesMax } = options;
  return new Listener({ address, bodyBytesMax, handler: new ClientHandler(options) });
}

/** Sends each request to the data plane or to the framework, and turns what is thrown into an answer. */
class ClientHandler implements RequestHandler {
  readonly #options: ServerOptions;
  readonly #addresses = new WeakMap<Request, string>();
  readonly #app: { fetch: (request: Request) => Response | Promise<Response> };

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#app = createApp({
      ...options,
      addressOf: (request) => this.#addresses.get(request),
      answerError: (thrown) => {
        this.#logBug(thrown);
        return errorResponse(toCortexError(thrown));
      },
    });
  }

  handle(request: ClientRequest, reply: Reply): void {
    const requestId = newRequestId();
    if (!HOT_PATHS.has(request.path)) {
      void this.#handleQuiet(request, reply, requestId);
      return;
    }
    try {
      const { method, target } = request;
      if (method !== "POST") throw notFound({ method, url: target });
      this.#options.dataPlane.handle(request, reply, requestId);
    } catch (thrown) {
      this.#sendError(reply, thrown, requestId);
    }
  }

  refuse(error: Error, reply: Reply): void {
    this.#sendError(reply, error, newRequestId());
  }

  async #handleQuiet(request: ClientRequest, reply: Reply, requestId: string): Promise<void> {
    const left = new AbortController();
    reply.listen({
      onPause: () => undefined,
      onResume: () => undefined,
      onGone: () => left.abort(),
    });
    try {
      const asked = this.#toWebRequest(request, left.signal);
      const response = await this.#app.fetch(asked);
      let headers = `X-Request-Id: ${requestId}\r\n`;
      for (const [name, value] of response.headers) {
        if (!OWN_HEADERS.has(name)) headers += `${name}: ${value}\r\n`;
      }
      reply.send(response.status, headers, new Uint8Array(await response.arrayBuffer()));
    } catch (thrown) {
      this.#sendError(reply, thrown, requestId);
    }
  }

  #toWebRequest(request: ClientRequest, signal: AbortSignal): Request {
    // A HEAD is answered like a GET; the listener leaves the body out.
    const method = request.method === "HEAD" ? "GET" : request.method;
    const asked = new Request(`http://gateway${request.target}`, {
      method,
      headers: listHeaders(request.headerBytes),
      signal,
      ...(method === "GET" || request.body.length === 0 ? {} : { body: request.body }),
    });
    this.#addresses.set(asked, request.peerAddress);
    return asked;
  }

  #sendError(reply: Reply, thrown: unknown, requestId: string): void {
    this.#logBug(thrown, requestId);
    sendError(reply, toCortexError(thrown), requestId);
  }

  #logBug(thrown: unknown, requestId?: string): void {
    const bug = describeForLog(thrown);
    if (bug !== undefined) {
      this.#options.log.error("Request failed", { request: requestId, cause: bug });
    }
  }
}
