import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { findFreePort } from "../processes.ts";
import { CHAT_WIRE } from "./chat-wire.ts";
import { MESSAGES_WIRE } from "./messages-wire.ts";
import { RESPONSES_WIRE } from "./responses-wire.ts";
import {
  findShell,
  isObject,
  type JsonObject,
  SCRIPTED_USAGE,
  type Step,
  toAnswer,
} from "./script.ts";
import type { Wire } from "./wire.ts";

/** What the upstream speaks. */
export type UpstreamDialect = "chat" | "messages" | "responses";

const WIRES: Readonly<Record<UpstreamDialect, Wire>> = {
  chat: CHAT_WIRE,
  messages: MESSAGES_WIRE,
  responses: RESPONSES_WIRE,
};
/** The only model that it has. */
export const SCRIPTED_MODEL = "scripted-model";
/** What it wants to be shown, in its dialect's header. */
export const UPSTREAM_KEY = "sk-scripted-upstream";
/** Titles and other requests beside the main conversation get this. */
const SIDE_ANSWER = "A side answer";
/** A client that asks for more of it than the script has is told so, once more than it repeats. */
const BEYOND_SCRIPT = "The script has ended";
const BODY_BYTES_MAX = 32 * 1024 * 1024;

/** One request as it arrived, whole. */
export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
  /** Whether it offers a shell: then it gets the script's next step. */
  readonly isMain: boolean;
}

/**
 * A model server that speaks one dialect strictly, records all that it is asked and answers by a script. It never
 * refuses what is malformed, because a refusal would hide the rest: {@link complaints} has it.
 */
export class ScriptedUpstream {
  readonly requests: RecordedRequest[] = [];
  /** What was wrong with the requests, in the order of arrival. */
  readonly complaints: string[] = [];
  readonly port = findFreePort();
  readonly url = `http://127.0.0.1:${this.port}`;
  readonly #server: Server;
  readonly #wire: Wire;
  #steps: readonly Step[] = [];
  #nextStep = 0;

  private constructor(readonly dialect: UpstreamDialect) {
    this.#wire = WIRES[dialect];
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        this.complaints.push(`The script failed: ${String(error)}`);
        response.destroy();
      });
    });
  }

  static async start(dialect: UpstreamDialect): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream(dialect);
    const { promise, resolve } = Promise.withResolvers<void>();
    upstream.#server.listen(upstream.port, "127.0.0.1", resolve);
    await promise;
    return upstream;
  }

  /** Forgets what was, and answers the next main requests by these steps. */
  begin(steps: readonly Step[]): void {
    this.requests.length = 0;
    this.complaints.length = 0;
    this.#steps = steps;
    this.#nextStep = 0;
  }

  get mainRequests(): readonly RecordedRequest[] {
    return this.requests.filter((request) => request.isMain);
  }

  /** Steps that nobody asked for. */
  get stepsLeft(): number {
    return Math.max(0, this.#steps.length - this.#nextStep);
  }

  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    const method = request.method ?? "";
    const body = await readBody(request);
    const isMain = findShell(this.#wire.readTools(body)) !== undefined;
    const headers = headersOf(request);
    const record = { method, path: url.pathname, query: url.search, headers, body, isMain };
    this.requests.push(record);
    this.#checkHeaders(record);
    this.#route(record, response);
  }

  #route(record: RecordedRequest, response: ServerResponse): void {
    const { method, path, body } = record;
    if (method === "HEAD") {
      response.writeHead(200).end();
    } else if (method === "GET" && path === "/v1/models") {
      sendJson(response, this.#wire.writeModels([SCRIPTED_MODEL]));
    } else if (method === "POST" && path === "/v1/messages/count_tokens") {
      sendJson(response, { input_tokens: SCRIPTED_USAGE.input });
    } else if (method === "POST" && path === this.#wire.path) {
      this.complaints.push(...this.#wire.check(body));
      this.#answer(record, response);
    } else {
      // Health probes of a gateway may ask for anything.
      response.writeHead(404, { "content-type": "application/json" }).end("{}");
    }
  }

  #checkHeaders({ method, path, headers }: RecordedRequest): void {
    if (this.dialect === "responses") return;
    const complain = (message: string) => this.complaints.push(`${method} ${path}: ${message}`);
    const isMessages = this.dialect === "messages";
    const key = isMessages ? headers["x-api-key"] : headers["authorization"];
    if (key !== (isMessages ? UPSTREAM_KEY : `Bearer ${UPSTREAM_KEY}`)) {
      complain(`the key arrived as ${JSON.stringify(key)}`);
    }
    if (isMessages && headers["anthropic-version"] !== "2023-06-01") {
      complain(`anthropic-version arrived as ${JSON.stringify(headers["anthropic-version"])}`);
    }
    const foreign = isMessages ? /^(authorization|openai-.*)$/ : /^(x-api-key|anthropic-.*)$/;
    for (const name of Object.keys(headers)) {
      if (foreign.test(name)) complain(`header ${name} is of another dialect`);
    }
    if (method === "POST" && headers["content-type"]?.startsWith("application/json") !== true) {
      complain(`content-type arrived as ${headers["content-type"]}`);
    }
  }

  #answer({ body, isMain }: RecordedRequest, response: ServerResponse): void {
    const step = isMain ? this.#takeStep() : { text: SIDE_ANSWER };
    if ("refusal" in step) {
      const { status, body: error } = this.#wire.writeRefusal(step.refusal);
      sendJson(response, error, status);
      return;
    }
    const answer = toAnswer(step, {
      tools: this.#wire.readTools(body),
      callPrefix: `${this.#wire.callPrefix}scripted_${this.#nextStep}_`,
    });
    if (body["stream"] !== true) {
      sendJson(response, this.#wire.writeWhole(answer, body));
      return;
    }
    const events = this.#wire.writeStream(answer, body);
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    if (step.ending === undefined || step.ending === "whole") {
      response.end(events.join(""));
      return;
    }
    const half = events.slice(0, Math.ceil(events.length / 2)).join("");
    if (step.ending === "error") response.end(half + this.#wire.writeErrorEvent());
    // What is written must leave before the connection goes.
    else response.write(half, () => response.destroy());
  }

  #takeStep(): Step {
    const step = this.#steps[this.#nextStep];
    this.#nextStep += 1;
    if (step !== undefined) return step;
    this.complaints.push(`Request ${this.#nextStep} of the main conversation is beyond the script`);
    return { text: BEYOND_SCRIPT };
  }
}

function headersOf(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
  );
}

async function readBody(request: IncomingMessage): Promise<JsonObject> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request) {
    pieces.push(piece as Buffer);
    bytes += (piece as Buffer).length;
    if (bytes > BODY_BYTES_MAX) throw new Error(`A body of more than ${BODY_BYTES_MAX} bytes`);
  }
  if (bytes === 0) return {};
  const body: unknown = JSON.parse(Buffer.concat(pieces).toString("utf8"));
  if (!isObject(body)) throw new Error("The body is no JSON object");
  return body;
}

function sendJson(response: ServerResponse, body: JsonObject, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
