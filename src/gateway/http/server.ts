import type { ByteSpan } from "../../base/byte-span.ts";
import { HeaderLines } from "../../base/header-lines.ts";
import { newRequestId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { ClientDialect } from "../../translate/dialects.ts";
import type { Dashboard } from "../dashboard/dashboard.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { Listener, type ListenerOptions } from "../listener/listener.ts";
import type { ClientRequest, RefusedRequest, Reply, RequestHandler } from "../listener/reply.ts";
import { listHeaders } from "../listener/request-parser.ts";
import type { Drainer } from "../operations/drainer.ts";
import type { NeuronLogs } from "../operations/neuron-logs.ts";
import type { Operations } from "../operations/operations.ts";
import type { RequestRecords } from "../operations/request-records.ts";
import { readCallerLines } from "../proxy/caller-lines.ts";
import type { DataPlane } from "../proxy/data-plane.ts";
import { dialectOf, ENDPOINTS } from "../proxy/endpoints.ts";
import type { ErrorAddress } from "../proxy/parts.ts";
import type { StoredResponses } from "../stored-responses/stored-responses.ts";
import { createApp, notFound } from "./app.ts";
import { assertMayLook, FEED_HEADERS, FEED_PATH } from "./dashboard.ts";
import { describeForLog, errorResponse, sendError, toCortexError } from "./errors.ts";
import { assertOwnMachine, type Caller } from "./own-machine.ts";
import { readFollowRequest } from "./read-follow-request.ts";
import { EVENTS_PATH, isStreamPath, NEURON_LOG_PATH, type StreamPath } from "./streams.ts";

export interface ServerOptions {
  readonly address: string;
  readonly bodyBytesMax: number;
  readonly handed?: ListenerOptions["handed"];
  readonly dataPlane: DataPlane;
  readonly fleet: Fleet;
  readonly operations: Operations;
  readonly drainer: Drainer;
  readonly records: RequestRecords;
  readonly responses: StoredResponses;
  readonly dashboard: Dashboard;
  readonly neuronLogs: NeuronLogs;
  readonly log: Log;
  readonly nowMs: () => number;
}

/** Headers that the listener writes itself. */
const OWN_HEADERS = new Set(["connection", "content-length", "date", "transfer-encoding"]);

/** Who asks, and how errors are told. */
interface Asked extends ErrorAddress {
  readonly caller: Caller | undefined;
  readonly body?: ByteSpan;
}

/** Throws, or rejects, before the answer has begun. */
type StreamHandler = (
  request: ClientRequest,
  reply: Reply,
  headers: string,
) => void | Promise<void>;

const NOBODY: Asked = { dialect: "chat", requestId: "", caller: undefined };

/** Serves clients: hot paths at once, everything else through Elysia. Throws `invalid_config` when it cannot listen. */
export function serveClients(options: ServerOptions): Listener {
  const { address, bodyBytesMax, handed } = options;
  return new Listener({ address, bodyBytesMax, handed, handler: new ClientHandler(options) });
}

/** Sends each request to the data plane or to the framework, and turns what is thrown into an answer. */
class ClientHandler implements RequestHandler {
  readonly #options: ServerOptions;
  /** What the framework's routes do not carry themselves. */
  readonly #asked = new WeakMap<Request, Asked>();
  readonly #streams: Readonly<Record<StreamPath, StreamHandler>> = {
    [FEED_PATH]: (request, reply, headers) => {
      assertMayLook(request);
      this.#options.dashboard.follow(reply, headers);
    },
    [EVENTS_PATH]: (request, reply, headers) => {
      assertOwnMachine(request, "The gateway's log is shown");
      this.#options.dashboard.sendEvents(reply, headers, readFollowRequest(request));
    },
    [NEURON_LOG_PATH]: (request, reply, headers) => {
      assertOwnMachine(request, "A neuron's log is shown");
      return this.#options.neuronLogs.send(reply, headers, readFollowRequest(request));
    },
  };
  readonly #app: { fetch: (request: Request) => Response | Promise<Response> };

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#app = createApp({
      ...options,
      callerOf: (request) => this.#asked.get(request)?.caller,
      bodyOf: (request) => this.#asked.get(request)?.body,
      answerError: (thrown, request) => {
        const asked = this.#asked.get(request) ?? NOBODY;
        this.#logBug(thrown, asked.requestId);
        return errorResponse(toCortexError(thrown), asked);
      },
    });
  }

  handle(request: ClientRequest, reply: Reply): void {
    const caller = readCallerLines(request.headerLines);
    const { requestId } = caller;
    const endpoint = ENDPOINTS.get(request.path);
    if (endpoint === undefined) {
      const { path, method } = request;
      if (isStreamPath(path) && method === "GET") {
        void this.#stream(path, { request, reply, requestId });
      } else void this.#handleQuiet(request, reply, requestId);
      return;
    }
    try {
      const { method, target } = request;
      if (method !== "POST") throw notFound({ method, url: target });
      this.#options.dataPlane.handle(request, reply, { endpoint, caller });
    } catch (thrown) {
      this.#sendError(reply, thrown, { dialect: endpoint.dialect, requestId });
    }
  }

  refuse(error: Error, reply: Reply, request: RefusedRequest): void {
    const path = request.path ?? "";
    const dialect = dialectOf(path);
    const requestId = newRequestId();
    this.#options.dataPlane.noteRefused(toCortexError(error), {
      endpoint: ENDPOINTS.get(path),
      requestId,
    });
    this.#sendError(reply, error, { dialect, requestId });
  }

  async #stream(
    path: StreamPath,
    asked: { readonly request: ClientRequest; readonly reply: Reply; readonly requestId: string },
  ): Promise<void> {
    const { request, reply, requestId } = asked;
    try {
      const headers = `X-Request-Id: ${requestId}\r\n${FEED_HEADERS}`;
      await this.#streams[path](request, reply, headers);
    } catch (thrown) {
      this.#sendError(reply, thrown, { dialect: "chat", requestId });
    }
  }

  async #handleQuiet(request: ClientRequest, reply: Reply, requestId: string): Promise<void> {
    const address = { dialect: dialectOfQuiet(request), requestId };
    const left = new AbortController();
    reply.listen({
      onPause: () => undefined,
      onResume: () => undefined,
      onGone: () => left.abort(),
    });
    try {
      const asked = toWebRequest(request, left.signal);
      this.#asked.set(asked, { ...address, caller: request, body: request.body });
      const response = await this.#app.fetch(asked);
      let headers = `X-Request-Id: ${requestId}\r\nRequest-Id: ${requestId}\r\n`;
      for (const [name, value] of response.headers) {
        if (!OWN_HEADERS.has(name)) headers += `${name}: ${value}\r\n`;
      }
      reply.send(response.status, headers, new Uint8Array(await response.arrayBuffer()));
    } catch (thrown) {
      this.#sendError(reply, thrown, address);
    }
  }

  #sendError(reply: Reply, thrown: unknown, address: ErrorAddress): void {
    this.#logBug(thrown, address.requestId);
    sendError(reply, toCortexError(thrown), address);
  }

  #logBug(thrown: unknown, requestId?: string): void {
    const bug = describeForLog(thrown);
    if (bug !== undefined) {
      this.#options.log.error("Request failed", { request: requestId, cause: bug });
    }
  }
}

/** Both dialects have a list of models at one path; the header tells them apart. */
function dialectOfQuiet({ path, headerLines }: ClientRequest): ClientDialect {
  const isModels = path.startsWith("/v1/models") || path.startsWith("/models");
  if (!isModels) return dialectOf(path);
  const lines = new HeaderLines(headerLines);
  while (lines.next()) if (lines.is("anthropic-version")) return "messages";
  return "chat";
}

function toWebRequest(request: ClientRequest, signal: AbortSignal): Request {
  // A HEAD is answered like a GET; the listener leaves the body out.
  const method = request.method === "HEAD" ? "GET" : request.method;
  // Clients whose base URL was given without the /v1.
  const prefix = /^\/(models|responses)(\/|\?|$)/.test(request.target) ? "/v1" : "";
  return new Request(`http://gateway${prefix}${request.target}`, {
    method,
    headers: listHeaders(request.headerLines),
    signal,
    ...(method === "GET" || request.body.length === 0 ? {} : { body: request.body.toBuffer() }),
  });
}
