import type { Clock } from "../base/clock.ts";
import { CortexError, describeError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import type { HubSettings } from "./hub-settings.ts";
import { PassingFailure } from "./retries.ts";

/** How the hub is reached. */
export interface HubConnection {
  readonly settings: HubSettings;
  readonly clock: Clock;
  readonly timeouts?: HubTimeouts;
}

/** How long silence may last. */
export interface HubTimeouts {
  /** Until an answer's head is there. */
  readonly headMs: number;
  /** Between two pieces of a body. */
  readonly silenceMs: number;
}

/** Where nothing answers the user should know soon; a busy hub answers in less. */
const HEAD_MS = 15_000;
/** A connection that is silent for so long is dead. */
const SILENCE_MS = 30_000;
/** Hub, mirror, CDN: more hops are a loop. */
const HOPS_MAX = 5;
/** Text of an error page that is worth showing. */
const ERROR_TEXT_MAX = 300;

/** An answer's head, and the body to read or to cancel. */
export interface HubAnswer {
  readonly response: Response;
  readonly url: string;
  /** The head of the hub's own answer, where another host's answer came by a redirect; else the same head. */
  readonly hubHeaders: Headers;
  /** The body's next piece, or undefined at its end. @throws PassingFailure when cut or silent */
  read(): Promise<Uint8Array | undefined>;
  /** Frees the connection; needed unless the body was read to its end. */
  close(): void;
}

/**
 * Sends a GET and follows redirects. The token goes to the hub's own origin alone. The answer is 200, 206 or 416.
 * @throws PassingFailure for what may be over soon, CortexError for what the hub refuses
 */
export async function askHub(
  connection: HubConnection,
  request: {
    readonly url: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
  },
): Promise<HubAnswer> {
  const { settings } = connection;
  let url = new URL(request.url);
  let hubHeaders: Headers | undefined;
  for (let hop = 0; hop <= HOPS_MAX; hop += 1) {
    const own = url.origin === new URL(settings.endpoint).origin;
    const token = own ? settings.token : undefined;
    const wire = new Wire(connection, request.signal);
    const response = await wire.send(url, {
      "user-agent": `cortex/${VERSION}`,
      // A compressed body would have other bytes than the file and other lengths than the range.
      "accept-encoding": "identity",
      ...request.headers,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    });
    if (hubHeaders === undefined || own) hubHeaders = response.headers;
    const location =
      response.status >= 300 && response.status < 400 && response.headers.get("location");
    if (!location) {
      if ([200, 206, 416].includes(response.status)) {
        return {
          response,
          url: url.href,
          hubHeaders,
          read: () => wire.read(response),
          close: () => wire.close(),
        };
      }
      throw await wire.refusal(response, { url, hasToken: token !== undefined, own });
    }
    wire.close();
    url = nextUrl(url, location);
  }
  throw new CortexError("load_failed", `${request.url} redirects more than ${HOPS_MAX} times`);
}

/** Reads a JSON answer whole. @throws PassingFailure, CortexError as {@link askHub} */
export async function readJson(answer: HubAnswer, bytesMax: number): Promise<unknown> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  for (let piece = await answer.read(); piece !== undefined; piece = await answer.read()) {
    bytes += piece.length;
    if (bytes > bytesMax) {
      answer.close();
      throw new CortexError("load_failed", `${answer.url} answered more than ${bytesMax} bytes`);
    }
    text += decoder.decode(piece, { stream: true });
  }
  try {
    return JSON.parse(text + decoder.decode());
  } catch (cause) {
    throw new CortexError("load_failed", `${answer.url} answered something that is not JSON`, {
      cause,
      hint: "is HF_ENDPOINT the address of a hub?",
    });
  }
}

/** One request on its way, with the timer that ends it when it falls silent. */
class Wire {
  readonly #clock: Clock;
  readonly #timeouts: HubTimeouts;
  readonly #outer: AbortSignal;
  readonly #abort = new AbortController();
  readonly #leave = () => this.#abort.abort(this.#outer.reason);
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(connection: HubConnection, signal: AbortSignal) {
    this.#clock = connection.clock;
    this.#timeouts = connection.timeouts ?? { headMs: HEAD_MS, silenceMs: SILENCE_MS };
    this.#outer = signal;
    signal.throwIfAborted();
    signal.addEventListener("abort", this.#leave, { once: true });
  }

  async send(url: URL, headers: Readonly<Record<string, string>>): Promise<Response> {
    try {
      return await this.#within(
        fetch(url, { headers, redirect: "manual", signal: this.#abort.signal }),
        { limitMs: this.#timeouts.headMs, what: `${url.host} did not answer` },
      );
    } catch (error) {
      this.close();
      throw this.#passing(error, `Cannot reach ${url.host}`);
    }
  }

  async read(response: Response): Promise<Uint8Array | undefined> {
    if (response.body === null) return this.#ended();
    this.#reader ??= response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    try {
      const { done, value } = await this.#within(this.#reader.read(), {
        limitMs: this.#timeouts.silenceMs,
        what: "The connection was silent",
      });
      return done ? this.#ended() : value;
    } catch (error) {
      this.close();
      throw this.#passing(error, "The connection was cut");
    }
  }

  close(): void {
    this.#outer.removeEventListener("abort", this.#leave);
    // A cancel of what has failed already fails again, and says nothing new.
    void this.#reader?.cancel().catch(() => undefined);
    this.#abort.abort();
  }

  /** Why the hub says no, in words that say what to do. */
  async refusal(
    response: Response,
    at: { readonly url: URL; readonly hasToken: boolean; readonly own: boolean },
  ): Promise<Error> {
    const { status } = response;
    const text = await this.#errorText(response);
    this.close();
    const said = text === "" ? `${status}` : `${status}: ${text}`;
    if (status === 408 || status === 429 || status >= 500) {
      const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
      return new PassingFailure(
        `${at.url.host} answered ${said}`,
        Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {},
      );
    }
    // A signed address of the CDN that has run out; the hub gives a new one.
    if (!at.own && (status === 401 || status === 403)) {
      return new PassingFailure(`${at.url.host} answered ${said}`);
    }
    return refusalOf({ status, said, code: response.headers.get("x-error-code") ?? "" }, at);
  }

  #ended(): undefined {
    this.#outer.removeEventListener("abort", this.#leave);
    return undefined;
  }

  async #errorText(response: Response): Promise<string> {
    const header = response.headers.get("x-error-message");
    // An error page that does not come leaves the status to speak for itself.
    const piece = header === null ? await this.read(response).catch(() => undefined) : undefined;
    const page = piece === undefined ? "" : new TextDecoder().decode(piece.subarray(0, 4096));
    const text = header ?? /"error"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(page)?.[1] ?? "";
    return text.replaceAll(/[^\x20-\x7e]/g, " ").slice(0, ERROR_TEXT_MAX);
  }

  async #within<T>(
    work: Promise<T>,
    limit: { readonly limitMs: number; readonly what: string },
  ): Promise<T> {
    const timer = new AbortController();
    const late = this.#clock.sleep(limit.limitMs, timer.signal).then(
      (): never => {
        throw new PassingFailure(`${limit.what} for ${limit.limitMs / 1000} s`);
      },
      // The work ended first; this branch of the race is over then.
      () => new Promise<never>(() => undefined),
    );
    try {
      return await Promise.race([work, late]);
    } finally {
      timer.abort();
      // What the loser of the race still throws is of no interest.
      work.catch(() => undefined);
    }
  }

  #passing(error: unknown, what: string): unknown {
    if (this.#outer.aborted) return this.#outer.reason;
    if (error instanceof PassingFailure || error instanceof CortexError) return error;
    return new PassingFailure(`${what}: ${describeError(error)}`);
  }
}

/** 1. no access; 2. nothing there; 3. anything else. */
function refusalOf(
  answer: { readonly status: number; readonly said: string; readonly code: string },
  at: { readonly url: URL; readonly hasToken: boolean },
): CortexError {
  const repository = /^\/(?:api\/models\/)?([^/]+\/[^/]+)/.exec(at.url.pathname)?.[1] ?? "";
  const page = `${at.url.origin}/${repository}`;
  const message = `The hub refuses ${repository}: ${answer.said}`;
  // 1. The hub also answers 401 for a repository that does not exist, so as not to tell of private ones.
  if (answer.status === 401 || answer.status === 403) {
    const isGated = answer.code === "GatedRepo" || answer.status === 403;
    const accept = isGated ? `accept the conditions at ${page}, then ` : "check the name, or ";
    const give = at.hasToken
      ? "use a token whose account and rights allow it to read this repository"
      : "set HF_TOKEN to a token of an account that may read it";
    return new CortexError("forbidden", message, { hint: `${accept}${give}` });
  }
  // 2.
  if (answer.status === 404 || answer.status === 410) {
    return new CortexError(
      "model_not_found",
      `The hub does not have ${at.url.pathname}: ${answer.said}`,
      {
        hint: `look at ${page}`,
      },
    );
  }
  // 3.
  return new CortexError("load_failed", message, { hint: `look at ${page}` });
}

/** @throws CortexError for a redirect to something that is no better protected than the hub */
function nextUrl(from: URL, location: string): URL {
  const next = URL.parse(location, from.href);
  const isDowngrade = from.protocol === "https:" && next?.protocol !== "https:";
  if (next === null || !/^https?:$/.test(next.protocol) || isDowngrade) {
    throw new CortexError(
      "load_failed",
      `${from.host} redirects to ${next?.protocol ?? "nothing that is an address"}, which is not followed`,
    );
  }
  return next;
}
