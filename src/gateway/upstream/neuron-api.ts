import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { CortexError, type ErrorCode } from "../../base/errors.ts";
import { SseReader } from "../../base/sse.ts";
import { type NeuronEvent, NeuronEventSchema } from "../../protocol/events.ts";
import { type Health, HealthSchema } from "../../protocol/health.ts";
import {
  type LoadRequest,
  LoadResponseSchema,
  type Model,
  ModelListSchema,
  type PlanRequest,
  type PlanResponse,
  PlanResponseSchema,
  type UnloadRequest,
  type UnloadResponse,
  UnloadResponseSchema,
} from "../../protocol/models.ts";
import type { Origin, UpstreamCall } from "./connection.ts";
import { callJson, type JsonCallOptions } from "./json-call.ts";

const JSON_HEADERS = "Content-Type: application/json\r\nAccept: application/json\r\n";

/** Takes a neuron's events until it ends, once. */
export interface EventSink {
  onEvent(event: NeuronEvent): void;
  onEnd(error: CortexError): void;
}

/** What the gateway asks of one neuron; a simulation answers it without a network. */
export type NeuronApi = Pick<HttpNeuronApi, keyof HttpNeuronApi>;

/** The control plane of one neuron, with every answer checked against the protocol's schemas. */
export class HttpNeuronApi {
  readonly #origin: Origin;

  constructor(origin: Origin) {
    this.#origin = origin;
  }

  /** GET /health. */
  async health(options: JsonCallOptions): Promise<Health> {
    return await this.#get("/health", HealthSchema, options);
  }

  /** GET /models. */
  async models(options: JsonCallOptions): Promise<Model[]> {
    return (await this.#get("/models", ModelListSchema, options)).models;
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

  /** GET /events: opens the stream. Events that this version does not know are skipped. */
  events(sink: EventSink): UpstreamCall {
    const reader = new SseReader();
    const decoder = new TextDecoder();
    let status = 0;
    const request = {
      method: "GET",
      path: "/events",
      headers: "Accept: text/event-stream\r\n",
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
            const data: unknown = JSON.parse(event.data);
            if (Value.Check(NeuronEventSchema, data)) sink.onEvent(data);
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

  async #get<S extends TSchema>(
    path: string,
    schema: S,
    options: JsonCallOptions,
  ): Promise<Static<S>> {
    const request = { method: "GET", path, headers: JSON_HEADERS, body: undefined } as const;
    const answer = await callJson(this.#origin, request, options);
    return this.#read(path, schema, answer);
  }

  async #post<S extends TSchema>(
    path: string,
    body: unknown,
    options: JsonCallOptions & { readonly schema: S },
  ): Promise<Static<S>> {
    const request = {
      method: "POST",
      path,
      headers: JSON_HEADERS,
      body: JSON.stringify(body),
    } as const;
    const answer = await callJson(this.#origin, request, options);
    return this.#read(path, options.schema, answer);
  }

  #read<S extends TSchema>(
    path: string,
    schema: S,
    answer: { status: number; retryAfter: string | undefined; body: unknown },
  ): Static<S> {
    if (answer.status < 200 || answer.status > 299) throw readNeuronError(path, answer);
    if (Value.Check(schema, answer.body)) return answer.body;
    const first = Value.Errors(schema, answer.body).First();
    const where = first === undefined ? "" : `: ${first.path} ${first.message}`;
    throw new CortexError("neuron_failed", `Answer of ${path} is not as agreed${where}`);
  }
}

const CODES_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_request",
  401: "unauthorized",
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
