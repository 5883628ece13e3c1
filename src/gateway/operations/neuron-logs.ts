import type { ByteSpan } from "../../base/byte-span.ts";
import { joinSpans } from "../../base/byte-span.ts";
import type { Clock } from "../../base/clock.ts";
import { CortexError, type ErrorCode } from "../../base/errors.ts";
import type { FollowRequest } from "../../kept-log/follow-request.ts";
import type { Reply, ReplyEvents } from "../listener/reply.ts";
import type { Origin, UpstreamCall, UpstreamSink } from "../upstream/connection.ts";
import { readNeuronError } from "../upstream/neuron-api.ts";
import type { ResponseHead } from "../upstream/response-parser.ts";
import { formatResumeLine } from "../upstream/resume-line.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { unknownNeuron } from "./unknown-names.ts";

export interface NeuronLogsOptions {
  readonly upstreams: ReadonlyMap<string, Pick<Upstream, "kind" | "origin">>;
  readonly clock: Clock;
}

/** Whose log is wanted, and from where. */
export interface NeuronLogRequest extends FollowRequest {
  /** Its name in the configuration; undefined where nobody was named. */
  readonly neuron: string | undefined;
}

/** Each costs two connections. */
export const RELAYS_MAX = 16;
/** How long a neuron has to begin its answer, which it makes of memory. */
const HEAD_MS = 10_000;
/** Of an error's text that is read. */
const ERROR_BYTES_MAX = 64 * 1024;

/**
 * Hands the logs of neurons on to those who may ask this gateway: an operator needs no way, and no token, to each
 * neuron. Owner of the streams that are handed on.
 */
export class NeuronLogs {
  readonly #options: NeuronLogsOptions;
  readonly #relays = new Set<LogRelay>();
  #stopped = false;

  constructor(options: NeuronLogsOptions) {
    this.#options = options;
  }

  get relayCount(): number {
    return this.#relays.size;
  }

  /**
   * Answers with a neuron's log until it ends or the client leaves; resolves when the answer has begun.
   * @throws CortexError before it has: invalid_request for no such neuron, queue_full beyond {@link RELAYS_MAX},
   * unsupported for a neuron without that route, and what keeps it from answering
   */
  async send(reply: Reply, headers: string, request: NeuronLogRequest): Promise<void> {
    const { neuron, lastEventId, follow } = request;
    const { clock } = this.#options;
    const origin = this.#require(neuron);
    if (this.#relays.size >= RELAYS_MAX || this.#stopped) {
      const text = `${this.#relays.size} clients read neurons' logs, at most ${RELAYS_MAX} may`;
      throw new CortexError("queue_full", text, { retryAfterSeconds: 5 });
    }
    const relay = new LogRelay(reply, headers, () => this.#relays.delete(relay));
    this.#relays.add(relay);
    const cancel = clock.after(HEAD_MS, () =>
      relay.refuse(new CortexError("timeout", `No answer of /logs in ${HEAD_MS} ms`)),
    );
    try {
      await relay.start(origin, { lastEventId, follow });
    } catch (thrown) {
      throw explain(thrown, neuron);
    } finally {
      cancel();
    }
  }

  /** Ends every stream. */
  stop(): void {
    this.#stopped = true;
    for (const relay of [...this.#relays]) relay.stop();
  }

  #require(neuron: string | undefined): Origin {
    const upstream = neuron === undefined ? undefined : this.#options.upstreams.get(neuron);
    if (upstream?.kind === "neuron") return upstream.origin;
    if (neuron !== undefined && upstream === undefined) {
      const own = [...this.#options.upstreams].filter(([, { kind }]) => kind === "neuron");
      throw unknownNeuron(
        neuron,
        own.map(([name]) => ({ name })),
      );
    }
    const text =
      upstream === undefined
        ? "Query: 'neuron' is missing, must be a name of [[neurons]]"
        : `'${neuron}' is an API of kind ${upstream.kind}, which has no log to show`;
    throw new CortexError("invalid_request", text, { param: "neuron" });
  }
}

/** One neuron's answer on its way to one client: the bytes as they come, and as fast as the client reads. */
class LogRelay implements UpstreamSink, ReplyEvents {
  readonly #reply: Reply;
  readonly #headers: string;
  readonly #onOver: () => void;
  readonly #begun = Promise.withResolvers<void>();
  readonly #refusal: ByteSpan[] = [];
  #refusalBytes = 0;
  #head: ResponseHead | undefined;
  #call: UpstreamCall | undefined;

  constructor(reply: Reply, headers: string, onOver: () => void) {
    this.#reply = reply;
    this.#headers = headers;
    this.#onOver = onOver;
  }

  /** Resolves when the answer has begun. */
  async start(origin: Origin, { lastEventId, follow }: FollowRequest): Promise<void> {
    this.#reply.listen(this);
    const headers = `Accept: text/event-stream\r\n${formatResumeLine(lastEventId)}`;
    const path = `/logs?follow=${follow}`;
    this.#call = origin.send({ method: "GET", path, headers, body: undefined }, this);
    await this.#begun.promise;
  }

  /** Ends what has not begun. */
  refuse(error: CortexError): void {
    this.#call?.abort();
    this.#fail(error);
  }

  stop(): void {
    this.#call?.abort();
    if (this.#isRead) {
      this.#onOver();
      this.#reply.end();
    } else this.#fail(new CortexError("unavailable", "Gateway stops"));
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
    if (!this.#isRead) return;
    this.#reply.begin(200, this.#headers);
    this.#begun.resolve();
  }

  onBody(bytes: ByteSpan): void {
    if (this.#isRead) {
      this.#reply.write(bytes);
      return;
    }
    this.#refusalBytes += bytes.length;
    if (this.#refusalBytes <= ERROR_BYTES_MAX) this.#refusal.push(bytes);
  }

  onEnd(): void {
    if (this.#isRead) {
      this.#onOver();
      this.#reply.end();
    } else this.#fail(this.#readRefusal());
  }

  onFailure(error: CortexError): void {
    if (this.#isRead) {
      this.#onOver();
      // A clean end would say that the neuron stopped.
      this.#reply.break();
    } else this.#fail(error);
  }

  onPause(): void {
    this.#call?.pause();
  }

  onResume(): void {
    this.#call?.resume();
  }

  onGone(): void {
    this.#call?.abort();
    this.#onOver();
    this.#begun.resolve();
  }

  get #isRead(): boolean {
    return this.#head?.status === 200;
  }

  #fail(error: CortexError): void {
    this.#onOver();
    this.#begun.reject(error);
  }

  #readRefusal(): CortexError {
    const { status = 0, retryAfter } = this.#head ?? {};
    const text = joinSpans(this.#refusal).toString();
    const error = readNeuronError("/logs", { status, retryAfter, body: parseJson(text) });
    // Any other code would say that the client's own request is at fault.
    const code: ErrorCode =
      status === 404 ? "unsupported" : status === 429 ? "queue_full" : "neuron_failed";
    return new CortexError(code, error.message, {
      ...(error.retryAfterSeconds === undefined
        ? {}
        : { retryAfterSeconds: error.retryAfterSeconds }),
    });
  }
}

function explain(thrown: unknown, neuron: string | undefined): unknown {
  if (!(thrown instanceof CortexError)) return thrown;
  const { code, message, retryAfterSeconds, figures } = thrown;
  const hint = code === "unsupported" ? { hint: "upgrade the neuron" } : {};
  return new CortexError(code, `Neuron '${neuron}' does not show its log: ${message}`, {
    ...hint,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(figures === undefined ? {} : { figures }),
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's page, perhaps: its status says enough.
    return null;
  }
}
