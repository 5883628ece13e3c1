import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { CortexError, type ErrorCode } from "../../base/errors.ts";
import { SseReader } from "../../base/sse.ts";
import type { NeuronDrainRequest } from "../../protocol/drains.ts";
import type { NeuronEvent } from "../../protocol/events.ts";
import type { Health } from "../../protocol/health.ts";
import {
  type LeaseRequest,
  type LeaseResponse,
  LeaseResponseSchema,
} from "../../protocol/leases.ts";
import {
  type LoadRequest,
  LoadResponseSchema,
  type Model,
  type PlanRequest,
  type PlanResponse,
  PlanResponseSchema,
  type UnloadRequest,
  type UnloadResponse,
  UnloadResponseSchema,
} from "../../protocol/models.ts";
import { type Removal, RemovalSchema } from "../../protocol/removals.ts";
import type { Origin, UpstreamCall } from "./connection.ts";
import { callJson, type JsonAnswer, type JsonCallOptions } from "./json-call.ts";
import { NeuronReports, type NeuronReportsOptions } from "./neuron-reports.ts";
import { formatResumeLine } from "./resume-line.ts";

const JSON_HEADERS = "Content-Type: application/json\r\nAccept: application/json\r\n";

/** Takes a neuron's events until it ends, once. */
export interface EventSink {
  /** With the event's id, from which a later stream can go on. */
  onEvent(event: NeuronEvent, id: string | undefined): void;
  onEnd(error: CortexError): void;
}

/** What the gateway asks of one neuron; a simulation answers it without a network. */
export type NeuronApi = Pick<HttpNeuronApi, keyof HttpNeuronApi>;

/** The control plane of one neuron: every answer is checked, and what it says of itself is mended by rule. */
export class HttpNeuronApi {
  readonly #origin: Origin;
  readonly #reports: NeuronReports;
  /** The last list of models and its tag: an unchanged one is not sent again. */
  #listed: { readonly etag: string; readonly models: Model[] } | undefined;

  constructor(origin: Origin, options: NeuronReportsOptions = {}) {
    this.#origin = origin;
    this.#reports = new NeuronReports(options);
  }

  /** GET /health. */
  async health(options: JsonCallOptions): Promise<Health> {
    const answer = await this.#ask("/health", "", options);
    return this.#reports.health(readBody("/health", answer));
  }

  /** GET /models; the same array as before when nothing has changed since. */
  async models(options: JsonCallOptions): Promise<Model[]> {
    const listed = this.#listed;
    const header = listed === undefined ? "" : `If-None-Match: ${listed.etag}\r\n`;
    const answer = await this.#ask("/models", header, options);
    if (answer.status === 304 && listed !== undefined) return listed.models;
    const models = this.#reports.models(readBody("/models", answer));
    this.#listed = answer.etag === undefined ? undefined : { etag: answer.etag, models };
    return models;
  }

  /** POST /models/plan. */
  async plan(request: PlanRequest, options: JsonCallOptions): Promise<PlanResponse> {
    return await this.#post("/models/plan", request, { schema: PlanResponseSchema, ...options });
  }

  /** POST /models/load: the model as it is then, ready or, without wait, loading. */
  async load(request: LoadRequest, options: JsonCallOptions): Promise<Model> {
    const schema = LoadResponseSchema;
    return (await this.#post("/models/load", request, { schema, ...options })).model;
  }

  /** POST /models/unload. */
  async unload(request: UnloadRequest, options: JsonCallOptions): Promise<UnloadResponse> {
    return await this.#post("/models/unload", request, {
      schema: UnloadResponseSchema,
      ...options,
    });
  }

  /** DELETE /models/{id}: removes the files of a pulled model, or says what would go. */
  async remove(
    model: string,
    how: { readonly force: boolean; readonly dryRun: boolean },
    options: JsonCallOptions,
  ): Promise<Removal> {
    const query = `force=${how.force}&dry_run=${how.dryRun}`;
    const path = `/models/${encodeURIComponent(model)}?${query}`;
    const request = { method: "DELETE", path, headers: JSON_HEADERS, body: undefined } as const;
    const answer = await callJson(this.#origin, request, options);
    return this.#read(path, RemovalSchema, answer);
  }

  /** POST /models/leases: all that the holder leases there from now on. */
  async leases(request: LeaseRequest, options: JsonCallOptions): Promise<LeaseResponse> {
    return await this.#post("/models/leases", request, { schema: LeaseResponseSchema, ...options });
  }

  /** POST /drain: the neuron keeps whether an operator takes it out. */
  async drain(request: NeuronDrainRequest, options: JsonCallOptions): Promise<Health> {
    const answer = await this.#send("/drain", request, options);
    return this.#reports.health(readBody("/drain", answer));
  }

  /**
   * GET /events: opens the stream, after the event of that id where the neuron still knows what followed it, else with
   * a snapshot. Events that this version does not know are skipped.
   */
  events(sink: EventSink, lastEventId?: string): UpstreamCall {
    const reader = new SseReader();
    const decoder = new TextDecoder();
    let status = 0;
    const request = {
      method: "GET",
      path: "/events",
      headers: `Accept: text/event-stream\r\n${formatResumeLine(lastEventId)}`,
      body: undefined,
    } as const;
    const call = this.#origin.send(request, {
      onHead: (head) => {
        status = head.status;
      },
      onBody: (bytes) => {
        if (status !== 200) return;
        try {
          for (const event of reader.push(decoder.decode(bytes.toBuffer(), { stream: true }))) {
            const read = this.#reports.event(JSON.parse(event.data));
            if (read !== undefined) sink.onEvent(read, event.id);
          }
        } catch (cause) {
          call.abort();
          sink.onEnd(new CortexError("neuron_failed", "Malformed event", { cause }));
        }
      },
      onEnd: () => {
        const why = status === 200 ? "Event stream ended" : `GET /events answered ${status}`;
        sink.onEnd(new CortexError("neuron_failed", why));
      },
      onFailure: (error) => sink.onEnd(error),
    });
    return call;
  }

  async #ask(path: string, headers: string, options: JsonCallOptions): Promise<JsonAnswer> {
    const lines = `${JSON_HEADERS}${headers}`;
    const request = { method: "GET", path, headers: lines, body: undefined } as const;
    return await callJson(this.#origin, request, options);
  }

  async #post<S extends TSchema>(
    path: string,
    body: unknown,
    options: JsonCallOptions & { readonly schema: S },
  ): Promise<Static<S>> {
    return this.#read(path, options.schema, await this.#send(path, body, options));
  }

  async #send(path: string, body: unknown, options: JsonCallOptions): Promise<JsonAnswer> {
    const request = {
      method: "POST",
      path,
      headers: JSON_HEADERS,
      body: JSON.stringify(body),
    } as const;
    return await callJson(this.#origin, request, options);
  }

  #read<S extends TSchema>(path: string, schema: S, answer: JsonAnswer): Static<S> {
    const body = readBody(path, answer);
    if (Value.Check(schema, body)) return body;
    const first = Value.Errors(schema, body).First();
    const where = first === undefined ? "" : `: ${first.path} ${first.message}`;
    throw new CortexError("neuron_failed", `Answer of ${path} is not as agreed${where}`);
  }
}

/** The body of an answer that is none of an error. */
function readBody(path: string, answer: JsonAnswer): unknown {
  if (answer.status >= 200 && answer.status <= 299) return answer.body;
  throw readNeuronError(path, answer);
}

const CODES_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_request",
  401: "unauthorized",
  403: "forbidden",
  404: "model_not_found",
  409: "conflict",
  422: "invalid_request",
  429: "queue_full",
  503: "unavailable",
  504: "timeout",
  507: "does_not_fit",
};

/** A neuron's error answer as an error of our own; its code follows the status, its text and figures are kept. */
export function readNeuronError(
  path: string,
  answer: { status: number; retryAfter: string | undefined; body: unknown },
): CortexError {
  const body = answer.body as { error?: { message?: unknown; figures?: unknown } } | null;
  const text = body?.error?.message;
  const figures = body?.error?.figures;
  const retryAfterSeconds = Number(answer.retryAfter);
  return new CortexError(
    CODES_BY_STATUS[answer.status] ?? "neuron_failed",
    typeof text === "string" ? text : `${path} answered ${answer.status}`,
    {
      ...(retryAfterSeconds > 0 ? { retryAfterSeconds } : {}),
      ...(typeof figures === "object" && figures !== null
        ? { figures: figures as Readonly<Record<string, unknown>> }
        : {}),
    },
  );
}
