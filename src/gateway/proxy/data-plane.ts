import { CortexError } from "../../base/errors.ts";
import type { UpstreamKind } from "../../translate/dialects.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { ClientRequest, Reply } from "../listener/reply.ts";
import type { KnownPrompt } from "../prefix/known-prompt.ts";
import type { PromptForm } from "../prefix/prompt-reader.ts";
import { beginTrace } from "./begin-trace.ts";
import { type CallerLines, formatForwarded, formatPriority } from "./caller-lines.ts";
import type { Endpoint, EndpointName } from "./endpoints.ts";
import { Exchange } from "./exchange.ts";
import type { DataPlaneParts } from "./parts.ts";
import { RequestRecord } from "./request-record.ts";
import { type RoutingFields, readRoutingFields } from "./routing-fields.ts";

/** Which of the data plane's routes a request is for. */
export interface AskedFor {
  readonly endpoint: Endpoint;
  readonly caller: CallerLines;
}

/** Kinds of upstreams that cannot do at all, or not exactly, what an endpoint is for. */
const INCAPABLE: Partial<Readonly<Record<EndpointName, UpstreamKind>>> = {
  completions: "anthropic",
  embeddings: "anthropic",
  rerank: "anthropic",
  count_tokens: "openai",
};

/** Endpoints whose prompts a cache may hold. */
const FORMS: Partial<Readonly<Record<EndpointName, PromptForm>>> = {
  chat: "chat",
  messages: "messages",
  responses: "responses",
  completions: "completions",
};

/** Of a request that nobody answered. */
const NO_FIGURES = {
  ttftSeconds: undefined,
  tokensPerSecond: undefined,
  promptTokens: 0,
  cachedTokens: 0,
  completionTokens: 0,
};

/** Seconds after which a place in a full queue may be free. */
const QUEUE_RETRY_SECONDS = 1;

/** The data plane's entry: reads a request, admits it and starts its exchange with a neuron. */
export class DataPlane {
  readonly #parts: DataPlaneParts;

  constructor(parts: DataPlaneParts) {
    this.#parts = parts;
  }

  /** Answers one request of a hot path, at once or by and by. Throws a CortexError for one that goes nowhere. */
  handle(request: ClientRequest, reply: Reply, asked: AskedFor): void {
    const startMs = this.#parts.clock.monotonicMs();
    const { body, path } = request;
    const { endpoint, caller } = asked;
    const { requestId, client } = caller;
    const trace = beginTrace(this.#parts.tracer, { caller, endpoint, path, startMs });
    try {
      const fields = readRoutingFields(body);
      const entry = this.#find(fields.model);
      this.#admit(entry);
      const { stream, promptTokens } = fields;
      const exchange = new Exchange(this.#parts, reply, {
        endpoint,
        requestId,
        body,
        model: fields.model,
        source: entry.source,
        entry,
        excluded: this.#findIncapable(entry, endpoint),
        forwarded: endpoint.dialect === "messages" ? formatForwarded(caller) : "",
        priority: formatPriority(caller),
        client,
        trace,
        stream,
        promptTokens,
        prompt: this.#readPrompt(request, endpoint, { fields, entry }),
        startMs,
      });
      exchange.start();
    } catch (thrown) {
      if (thrown instanceof CortexError) {
        this.noteRefused(thrown, { endpoint, requestId, startMs });
        trace.onRefused(thrown.code, this.#parts.errors.statusOf(thrown, endpoint.dialect));
      }
      throw thrown;
    }
  }

  /** Counts and logs a request that goes nowhere. What it names as a model may be anything, and is not kept. */
  noteRefused(
    error: CortexError,
    of: {
      readonly endpoint: Endpoint | undefined;
      readonly requestId: string;
      readonly startMs?: number;
    },
  ): void {
    const { clock, metrics, errors, requests, recent } = this.#parts;
    const nowMs = clock.monotonicMs();
    const { startMs = nowMs, requestId } = of;
    const endpoint = of.endpoint?.name;
    const end = {
      ...NO_FIGURES,
      status: errors.statusOf(error, of.endpoint?.dialect ?? "chat"),
      outcome: error.code,
      seconds: (nowMs - startMs) / 1_000,
    };
    metrics.countRejection(error.code);
    requests.note({ requestId, endpoint, asked: undefined, choice: undefined, end });
    const unread = { model: undefined, stream: false, client: "" };
    const record = new RequestRecord({ ...unread, requestId, endpoint, startMs });
    record.noteFailed(error);
    record.end = end;
    recent.add(record);
  }

  /** What is known of the prompt, where there is a choice that it bears on, or the log of requests tells it. */
  #readPrompt(
    { body, headerLines }: ClientRequest,
    { name }: Endpoint,
    { fields, entry }: { readonly fields: RoutingFields; readonly entry: CatalogueEntry },
  ): KnownPrompt {
    const { fleet, clock, requests } = this.#parts;
    const { parts, promptTokens } = fields;
    const { source } = entry;
    const nowMs = clock.monotonicMs();
    if (!requests.wantsPrompts && fleet.placed(source).length < 2) {
      return fleet.prefixes.sample({ source, promptTokens, nowMs });
    }
    const form = FORMS[name];
    return fleet.prefixes.read({ source, form, headerLines, body, parts, promptTokens, nowMs });
  }

  /**
   * The upstreams that have no such endpoint. Tokens are counted exactly where anybody can; OpenAI's dialect only lets
   * them be estimated.
   */
  #findIncapable(entry: CatalogueEntry, endpoint: Endpoint): ReadonlySet<string> | undefined {
    const kind = INCAPABLE[endpoint.name];
    if (kind === undefined) return undefined;
    const { fleet } = this.#parts;
    const holders = fleet.holders(entry);
    const incapable = holders.filter((neuron) => neuron.kind === kind);
    if (incapable.length === 0) return undefined;
    if (incapable.length === holders.length) {
      if (endpoint.name === "count_tokens") return undefined;
      const text = `Model '${entry.id}' is served by an API that has no ${endpoint.route}`;
      throw new CortexError("invalid_request", text, { param: "model" });
    }
    return new Set(incapable.map(({ name }) => name));
  }

  #find(name: string): CatalogueEntry {
    const { fleet } = this.#parts;
    const entry = fleet.catalogue.find(name);
    if (entry !== undefined) return entry;
    const unknown = fleet.unknownNeurons();
    if (unknown.length > 0) {
      throw new CortexError(
        "unavailable",
        `Model '${name}' is not known, and ${unknown.join(", ")} could not be asked yet`,
        { retryAfterSeconds: 2 },
      );
    }
    const nearest = fleet.catalogue.findNearest(name);
    const hint = nearest === undefined ? "" : `; did you mean '${nearest}'?`;
    throw new CortexError("model_not_found", `Model '${name}' does not exist${hint}`, {
      param: "model",
    });
  }

  #admit(entry: CatalogueEntry): void {
    const { fleet, queueMax } = this.#parts;
    const { inFlight, slots } = fleet.load(entry);
    if (inFlight < slots + queueMax) return;
    throw new CortexError(
      "queue_full",
      `Queue of model '${entry.id}' is full: ${inFlight - slots} wait, at most ${queueMax} may`,
      { retryAfterSeconds: QUEUE_RETRY_SECONDS },
    );
  }
}
