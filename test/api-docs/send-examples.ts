import { SseReader } from "../../src/base/sse.ts";
import {
  type Content,
  type Example,
  listOperations,
  type NamedOperation,
  type OpenApi,
  SchemaChecker,
  type StreamEvent,
} from "./open-api.ts";

export interface SendOptions {
  readonly url: string;
  /** Where the operations of another server are. */
  readonly otherUrl?: string;
  /** Values of path parameters that only the run can know, in place of the example's. */
  readonly place?: (value: string) => string;
  /** Told each whole answer. */
  readonly onAnswer?: (key: string, example: Example, answer: unknown) => void;
}

/** What sending all examples came to. */
export interface SendReport {
  /** `METHOD /path example: what was wrong` */
  readonly problems: readonly string[];
  /** `METHOD /path event` of every kind of event that came. */
  readonly events: ReadonlySet<string>;
  readonly sent: number;
}

/** Sends every example of a document and holds what comes against what the document says. */
export async function sendExamples(document: OpenApi, options: SendOptions): Promise<SendReport> {
  const sender = new ExampleSender(document, options);
  let sent = 0;
  const operations = listOperations(document).toSorted((one, other) => rank(one) - rank(other));
  for (const operation of operations) {
    for (const example of operation.operation["x-cortex-examples"] ?? []) {
      await sender.send(operation, example);
      sent += 1;
    }
  }
  return { problems: sender.problems, events: sender.events, sent };
}

/** What takes away what other examples speak of comes after them. */
function rank({ method, path }: NamedOperation): number {
  return method === "DELETE" || path.endsWith("/unload") ? 1 : 0;
}

class ExampleSender {
  readonly problems: string[] = [];
  readonly events = new Set<string>();
  readonly #checker: SchemaChecker;
  readonly #options: SendOptions;

  constructor(document: OpenApi, options: SendOptions) {
    this.#checker = new SchemaChecker(document, { strict: true });
    this.#options = options;
  }

  async send(operation: NamedOperation, example: Example): Promise<void> {
    const complain = (what: string) =>
      this.problems.push(`${operation.key} ${example.name}: ${what}`);
    const left = new AbortController();
    const response = await this.#fetch(operation, { example, signal: left.signal });
    const { status } = response;
    const answer = operation.operation.responses[String(status)];
    if (answer === undefined) {
      complain(`status ${status} is not documented: ${(await response.text()).slice(0, 300)}`);
      return;
    }
    if (status >= 400 !== (example.error !== undefined)) complain(`status ${status}`);
    const type = (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
    const [, content] =
      Object.entries(answer.content ?? {}).find(([name]) => name.split(";")[0] === type) ?? [];
    if (content === undefined) {
      const text = await response.text();
      if (text !== "") complain(`content '${type}' is not documented`);
      return;
    }
    const events = content["x-cortex-events"];
    if (events !== undefined) {
      await this.#readStream(response, { events, key: operation.key, complain });
      left.abort();
    } else await this.#readWhole(response, { content, operation, example, complain });
  }

  async #fetch(
    { method, path, operation }: NamedOperation,
    { example, signal }: { readonly example: Example; readonly signal: AbortSignal },
  ): Promise<Response> {
    const { url, otherUrl, place = (value: string) => value } = this.#options;
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(place(example.path?.[name] ?? "")),
    );
    const query = example.query === undefined ? "" : `?${new URLSearchParams(example.query)}`;
    const base = operation.servers === undefined ? url : (otherUrl ?? url);
    return await fetch(`${base}${filled}${query}`, {
      ...{ method, signal },
      headers: { "content-type": "application/json", ...example.headers },
      ...(example.body === undefined ? {} : { body: JSON.stringify(example.body) }),
    });
  }

  async #readWhole(
    response: Response,
    of: {
      readonly content: Content;
      readonly operation: NamedOperation;
      readonly example: Example;
      readonly complain: (what: string) => void;
    },
  ): Promise<void> {
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    const answer: unknown = isJson ? await response.json() : await response.text();
    // A document describes itself as little as a page does.
    const isDocument = of.operation.path === "/docs/{file}" && response.ok;
    const problem = isDocument ? undefined : this.#checker.findProblem(of.content.schema, answer);
    if (problem !== undefined) of.complain(`${problem} in ${JSON.stringify(answer).slice(0, 400)}`);
    if (of.example.error !== undefined) {
      const expected = of.content.examples?.[of.example.error]?.value;
      const isSame = codeOf(answer) !== undefined && codeOf(answer) === codeOf(expected);
      if (!isSame) of.complain(`not ${of.example.error} but ${JSON.stringify(answer)}`);
    }
    this.#options.onAnswer?.(of.operation.key, of.example, answer);
  }

  /** Reads a stream to its end; one that has none, until its first event. */
  async #readStream(
    response: Response,
    of: {
      readonly events: readonly StreamEvent[];
      readonly key: string;
      readonly complain: (what: string) => void;
    },
  ): Promise<void> {
    const isEndless = of.key.startsWith("GET ");
    const reader = new SseReader();
    const decoder = new TextDecoder();
    let count = 0;
    for await (const piece of response.body ?? []) {
      for (const { event, data } of reader.push(decoder.decode(piece, { stream: true }))) {
        count += 1;
        const known = this.#findEvent(of.events, event, data);
        if (known === undefined) of.complain(`event '${event}' is not documented: ${data}`);
        else this.events.add(`${of.key} ${known}`);
      }
      if (isEndless && count > 0) return;
    }
    if (count === 0) of.complain("a stream without events");
  }

  #findEvent(events: readonly StreamEvent[], event: string, data: string): string | undefined {
    const value: unknown = data === "[DONE]" ? data : JSON.parse(data);
    return events.find(
      (known) =>
        (known.event ?? "message") === (event === "" ? "message" : event) &&
        this.#checker.findProblem(known.schema, value) === undefined,
    )?.name;
  }
}

/** The code of an envelope; Anthropic's has a type alone. */
function codeOf(body: unknown): unknown {
  const { error } = (body ?? {}) as { readonly error?: { readonly code?: string; type?: string } };
  return error?.code ?? error?.type;
}
