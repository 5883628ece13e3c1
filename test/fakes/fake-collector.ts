/** A span as a collector reads it, its attributes by name. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  readonly name: string;
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly {
    readonly name: string;
    readonly atNs: bigint;
    readonly attributes: Readonly<Record<string, unknown>>;
  }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly errorStatus: boolean;
  /** service.name of the resource. */
  readonly service: string;
}

/** One request as it came. */
export interface CollectedBatch {
  readonly path: string;
  readonly headers: Headers;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly spans: readonly CollectedSpan[];
}

/**
 * A collector of OTLP in JSON over HTTP on a port of its own. Reads strictly: what the protocol does not have is an
 * error of {@link problems}. Answers can be given out beforehand and held open.
 */
export class FakeCollector {
  readonly batches: CollectedBatch[] = [];
  readonly problems: string[] = [];
  /** Given out one after another; after them everything is taken. */
  readonly answers: (Response | Promise<Response>)[] = [];
  #requests = 0;
  #wake = Promise.withResolvers<void>();
  readonly #server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: (request) => this.#take(request),
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Those of requests that were taken. */
  get spans(): readonly CollectedSpan[] {
    return this.batches.flatMap((batch) => batch.spans);
  }

  /** Requests so far, taken or not. */
  get requests(): number {
    return this.#requests;
  }

  /** Resolves once it is so; looked at after each request. */
  async until(isSo: (collector: FakeCollector) => boolean): Promise<void> {
    while (!isSo(this)) await this.#wake.promise;
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  async #take(request: Request): Promise<Response> {
    const batch = await this.#read(request);
    this.#requests += 1;
    const answer = this.answers.shift();
    if (answer === undefined && batch !== undefined) this.batches.push(batch);
    const { resolve } = this.#wake;
    this.#wake = Promise.withResolvers();
    resolve();
    return answer ?? Response.json({});
  }

  async #read(request: Request): Promise<CollectedBatch | undefined> {
    try {
      const path = new URL(request.url).pathname;
      return { path, headers: request.headers, ...readBody(await request.json()) };
    } catch (thrown) {
      this.problems.push(String(thrown));
      return undefined;
    }
  }
}

/** An object of the protocol, whose fields are taken one by one; one that is left over is an error. */
class Fields {
  readonly #rest: Record<string, unknown>;

  constructor(value: unknown) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Error(`No object: ${JSON.stringify(value)}`);
    }
    this.#rest = { ...value };
  }

  take<T>(name: string, read: (value: unknown) => T): T {
    const value = this.#rest[name];
    delete this.#rest[name];
    try {
      return read(value);
    } catch (cause) {
      throw new Error(`${name}: ${String(cause)}`);
    }
  }

  end(): void {
    const left = Object.keys(this.#rest);
    if (left.length > 0) throw new Error(`Unknown fields ${left.join(", ")}`);
  }
}

const matching = (pattern: RegExp) => (value: unknown) => {
  if (typeof value === "string" && pattern.test(value)) return value;
  throw new Error(`${JSON.stringify(value)} is not ${pattern}`);
};
const maybe =
  <T>(read: (value: unknown) => T) =>
  (value: unknown) =>
    value === undefined ? undefined : read(value);
const listOf =
  <T>(read: (value: unknown) => T) =>
  (value: unknown): T[] => {
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw new Error("No list");
    return value.map(read);
  };
const oneOf = (value: unknown) => {
  const list = listOf((item) => item)(value);
  if (list.length !== 1) throw new Error(`${list.length} items, not one`);
  return list[0];
};
const nanos = (value: unknown) => BigInt(matching(/^[1-9]\d{12,18}$/)(value));
const traceId = matching(/^(?!0{32})[0-9a-f]{32}$/);
const spanId = matching(/^(?!0{16})[0-9a-f]{16}$/);
const text = matching(/./);
const small = (value: unknown) => {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new Error(`${JSON.stringify(value)} is no number of an enum`);
};

function readBody(body: unknown): Pick<CollectedBatch, "resource" | "spans"> {
  const whole = new Fields(body);
  const ofResource = new Fields(whole.take("resourceSpans", oneOf));
  const resource = ofResource.take("resource", (value) => {
    const fields = new Fields(value);
    const attributes = fields.take("attributes", readAttributes);
    fields.end();
    return attributes;
  });
  const ofScope = new Fields(ofResource.take("scopeSpans", oneOf));
  ofScope.take("scope", (value) => {
    const fields = new Fields(value);
    fields.take("name", text);
    fields.take("version", text);
    fields.end();
  });
  const service = String(resource["service.name"]);
  const spans = ofScope.take(
    "spans",
    listOf((value) => readSpan(value, service)),
  );
  for (const fields of [whole, ofResource, ofScope]) fields.end();
  return { resource, spans };
}

function readSpan(value: unknown, service: string): CollectedSpan {
  const fields = new Fields(value);
  const span = {
    traceId: fields.take("traceId", traceId),
    spanId: fields.take("spanId", spanId),
    parentSpanId: fields.take("parentSpanId", maybe(spanId)),
    traceState: fields.take("traceState", maybe(text)),
    name: fields.take("name", text),
    kind: fields.take("kind", small),
    startNs: fields.take("startTimeUnixNano", nanos),
    endNs: fields.take("endTimeUnixNano", nanos),
    attributes: fields.take("attributes", readAttributes),
    events: fields.take("events", listOf(readEvent)),
    links: fields.take("links", listOf(readLink)),
    errorStatus: fields.take("status", maybe(readStatus)) ?? false,
    service,
  };
  fields.take("flags", small);
  fields.end();
  if (span.endNs < span.startNs) throw new Error(`${span.name} ends before it begins`);
  return span;
}

function readEvent(value: unknown): CollectedSpan["events"][number] {
  const fields = new Fields(value);
  const event = {
    name: fields.take("name", text),
    atNs: fields.take("timeUnixNano", nanos),
    attributes: fields.take("attributes", readAttributes),
  };
  fields.end();
  return event;
}

function readLink(value: unknown): CollectedSpan["links"][number] {
  const fields = new Fields(value);
  const link = { traceId: fields.take("traceId", traceId), spanId: fields.take("spanId", spanId) };
  fields.take("flags", small);
  fields.end();
  return link;
}

function readStatus(value: unknown): boolean {
  const fields = new Fields(value);
  const code = fields.take("code", small);
  fields.take("message", maybe(text));
  fields.end();
  return code === 2;
}

function readAttributes(value: unknown): Record<string, unknown> {
  const attributes: Record<string, unknown> = {};
  for (const pair of listOf((item) => new Fields(item))(value)) {
    const key = pair.take("key", matching(/^[a-z][a-z0-9_.]*$/));
    if (Object.hasOwn(attributes, key)) throw new Error(`${key} comes twice`);
    attributes[key] = pair.take("value", readValue);
    pair.end();
  }
  return attributes;
}

function readValue(value: unknown): unknown {
  const entries = Object.entries(value as object);
  const [kind, inner] = entries[0] ?? [];
  if (entries.length !== 1) throw new Error(`No value: ${JSON.stringify(value)}`);
  if (kind === "intValue") return Number(matching(/^-?\d+$/)(inner));
  const types = { stringValue: "string", boolValue: "boolean", doubleValue: "number" } as const;
  const type = types[kind as keyof typeof types];
  if (type === undefined || typeof inner !== type) throw new Error(`${kind}: ${String(inner)}`);
  return inner;
}
