import { ByteSpan, type Writable } from "../base/byte-span.ts";
import type { CortexError } from "../base/errors.ts";
import type { Reply, ReplyEvents } from "../gateway/listener/reply.ts";
import type { Ask } from "./specs.ts";

/** How a request ended for its client. */
export type Outcome = "answered" | "failed" | "left";

const COLON = 58;

/** One client with one request: reads its answer, knows when its first token came, and may leave. */
export class SimulatedClient implements Reply {
  readonly ask: Ask;
  /** Whom it asked. */
  readonly gateway: object;
  readonly startMs: number;
  /** When the first byte of the answer came; keep-alives are none. */
  firstTokenMs: number | undefined;
  endMs: number | undefined;
  outcome: Outcome | undefined;
  /** The status of its answer; 200 once a stream has begun. */
  status = 0;
  /** Where it was sent and why, from x-cortex-route. */
  route = "";
  /** Ends that came, of whatever kind; any but one is a fault of the gateway, unless the client has left. */
  ends = 0;
  /** What came after the end. */
  late = 0;
  /** The text of the error, when there was one. */
  error = "";
  readonly #nowMs: () => number;
  readonly #onEnd: (client: SimulatedClient) => void;
  #events: ReplyEvents | undefined;

  constructor(
    ask: Ask,
    world: {
      readonly gateway: object;
      readonly nowMs: () => number;
      readonly onEnd: (client: SimulatedClient) => void;
    },
  ) {
    this.ask = ask;
    this.gateway = world.gateway;
    this.#nowMs = world.nowMs;
    this.#onEnd = world.onEnd;
    this.startMs = world.nowMs();
  }

  /** Closes its connection, as an impatient client does. */
  leave(): void {
    if (this.outcome !== undefined) return;
    this.#finish("left");
    this.#events?.onGone();
  }

  /** The gateway would not even begin. */
  refuse(error: CortexError, status: number): void {
    this.status = status;
    this.error = error.message;
    this.#end("failed");
  }

  listen(events: ReplyEvents): void {
    this.#events = events;
  }

  send(status: number, headers: string, body: Writable): void {
    this.status = status;
    this.#readRoute(headers);
    if (status !== 200) this.error = textOf(body);
    else this.firstTokenMs ??= this.#nowMs();
    this.#end(status === 200 ? "answered" : "failed");
  }

  begin(status: number, headers: string): void {
    this.status = status;
    this.#readRoute(headers);
  }

  write(bytes: Writable): void {
    if (this.outcome !== undefined) this.late += 1;
    if (this.outcome !== undefined || isComment(bytes)) return;
    const text = textOf(bytes);
    if (text.startsWith('data: {"error"') || text.includes('\ndata: {"error"')) this.error = text;
    else this.firstTokenMs ??= this.#nowMs();
  }

  end(): void {
    this.#end(this.error === "" ? "answered" : "failed");
  }

  break(): void {
    this.error = "broken off";
    this.#end("failed");
  }

  #readRoute(headers: string): void {
    this.route = /X-Cortex-Route: ([^\r]*)/i.exec(headers)?.[1] ?? "";
  }

  #end(outcome: Outcome): void {
    // Who has left hears nothing of what is still said.
    if (this.outcome === "left") return;
    this.ends += 1;
    this.#finish(outcome);
  }

  #finish(outcome: Outcome): void {
    if (this.outcome !== undefined) return;
    this.outcome = outcome;
    this.endMs = this.#nowMs();
    this.#onEnd(this);
  }
}

function isComment(bytes: Writable): boolean {
  if (typeof bytes === "string") return bytes.startsWith(":");
  if (bytes instanceof ByteSpan) return bytes.bytes[bytes.from] === COLON;
  return bytes[0] === COLON;
}

function textOf(bytes: Writable): string {
  if (typeof bytes === "string") return bytes;
  return bytes instanceof ByteSpan ? bytes.toString() : Buffer.from(bytes).toString();
}
