import type { FakeRequest } from "./fake-neuron.ts";

type Answer = (request: FakeRequest) => Response | Promise<Response>;

/**
 * A real HTTP server that speaks OpenAI's or Anthropic's dialect as those APIs do, under the paths that their SDKs ask.
 * It records what it was asked; requests for answers are answered by `answer`, which a test may replace.
 */
export class FakeApi {
  readonly requests: FakeRequest[] = [];
  readonly kind: "openai" | "anthropic";
  /** Ids of its models, as it lists them. */
  models: string[] = [];
  /** Models on a page of Anthropic's list. */
  pageModels = 1_000;
  /** The key that it wants; anybody may ask without one. */
  key: string | undefined;
  answer: Answer;
  readonly #arrivals: (() => void)[] = [];
  #server: Bun.Server<undefined> | undefined;
  #port = 0;

  constructor(kind: "openai" | "anthropic") {
    this.kind = kind;
    this.answer = kind === "openai" ? answerOpenai : answerAnthropic;
  }

  /** As its SDK takes it for a base URL. */
  get url(): string {
    const base = `http://127.0.0.1:${this.#port}`;
    return this.kind === "openai" ? `${base}/v1` : base;
  }

  /** Listens, on the same port again after {@link kill}. */
  start(): this {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: this.#port,
      reusePort: false,
      idleTimeout: 0,
      fetch: (request) => this.#serve(request),
    });
    this.#port = this.#server.port ?? 0;
    return this;
  }

  async kill(): Promise<void> {
    await this.#server?.stop(true);
    this.#server = undefined;
  }

  /** Requests other than those for the list of models. */
  get asked(): readonly FakeRequest[] {
    return this.requests.filter(({ path }) => path !== "/v1/models");
  }

  /** Resolves once so many requests for answers have come. */
  async arrived(count = 1): Promise<void> {
    while (this.asked.length < count) {
      await new Promise<void>((resolve) => this.#arrivals.push(resolve));
    }
  }

  async #serve(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const text = await request.text();
    const seen: FakeRequest = {
      method: request.method,
      path: pathname,
      headers: Object.fromEntries(request.headers),
      body: text === "" ? undefined : JSON.parse(text),
      text,
      signal: request.signal,
    };
    this.requests.push(seen);
    for (const resolve of this.#arrivals.splice(0)) resolve();
    if (!this.#hasKey(seen)) return this.refuse(401, "authentication_error", "invalid x-api-key");
    if (pathname === "/v1/models") return this.#list(searchParams);
    return await this.answer(seen);
  }

  #hasKey({ headers }: FakeRequest): boolean {
    if (this.key === undefined) return true;
    const given = this.kind === "openai" ? headers["authorization"] : headers["x-api-key"];
    return given === (this.kind === "openai" ? `Bearer ${this.key}` : this.key);
  }

  #list(query: URLSearchParams): Response {
    if (this.kind === "openai") {
      const data = this.models.map((id) => ({ id, object: "model", created: 1, owned_by: "fake" }));
      return Response.json({ object: "list", data });
    }
    const from = this.models.indexOf(query.get("after_id") ?? "") + 1;
    const page = this.models.slice(from, from + this.pageModels);
    return Response.json({
      data: page.map((id) => ({ id, type: "model", display_name: id, created_at: "2026-01-01" })),
      has_more: from + page.length < this.models.length,
      first_id: page[0] ?? null,
      last_id: page.at(-1) ?? null,
    });
  }

  /** An error in the envelope of its dialect. */
  refuse(
    status: number,
    type: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ): Response {
    const body =
      this.kind === "openai"
        ? { error: { message, type, param: null, code: null } }
        : { type: "error", error: { type, message }, request_id: "req_fake" };
    return Response.json(body, { status, headers });
  }
}

/** A stream of these pieces as its dialect frames it. */
function streamOf(text: string): Response {
  return new Response(text, { headers: { "content-type": "text/event-stream" } });
}

const OPENAI_HEAD = { id: "chatcmpl-1", created: 1, model: "fake" } as const;

/** One chunk of OpenAI's stream. */
export function openaiChunk(delta: object, finish: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ ...OPENAI_HEAD, object: "chat.completion.chunk", choices })}\n\n`;
}

const OPENAI_USAGE = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };

function answerOpenai(request: FakeRequest): Response {
  const { stream } = request.body as { stream?: boolean };
  if (stream !== true) {
    return Response.json({
      ...OPENAI_HEAD,
      object: "chat.completion",
      choices: [
        { index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" },
      ],
      usage: OPENAI_USAGE,
    });
  }
  const usage = { ...OPENAI_HEAD, object: "chat.completion.chunk", choices: [] };
  return streamOf(
    openaiChunk({ role: "assistant", content: "" }) +
      openaiChunk({ content: "Hel" }) +
      openaiChunk({ content: "lo" }) +
      openaiChunk({}, "stop") +
      `data: ${JSON.stringify({ ...usage, usage: OPENAI_USAGE })}\n\ndata: [DONE]\n\n`,
  );
}

/** One event of Anthropic's stream. */
export function anthropicEvent(
  data: Readonly<Record<string, unknown>> & { readonly type: string },
): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The first event of Anthropic's stream. */
export const ANTHROPIC_START = anthropicEvent({
  type: "message_start",
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "fake",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 4, cache_read_input_tokens: 5, output_tokens: 1 },
  },
});

/** A whole text block of Anthropic's stream. */
export function anthropicText(texts: readonly string[], index = 0): string {
  return (
    anthropicEvent({
      type: "content_block_start",
      index,
      content_block: { type: "text", text: "" },
    }) +
    texts
      .map((text) =>
        anthropicEvent({
          type: "content_block_delta",
          index,
          delta: { type: "text_delta", text },
        }),
      )
      .join("") +
    anthropicEvent({ type: "content_block_stop", index })
  );
}

/** The last events of Anthropic's stream. */
export const ANTHROPIC_END =
  anthropicEvent({
    type: "message_delta",
    delta: { stop_reason: "end_turn", stop_sequence: null },
    usage: { output_tokens: 2 },
  }) + anthropicEvent({ type: "message_stop" });

function answerAnthropic(request: FakeRequest): Response {
  if (request.path === "/v1/messages/count_tokens") return Response.json({ input_tokens: 77 });
  const { stream } = request.body as { stream?: boolean };
  if (stream === true) {
    return streamOf(ANTHROPIC_START + anthropicText(["Hel", "lo"]) + ANTHROPIC_END);
  }
  return Response.json({
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "fake",
    content: [{ type: "text", text: "Hello" }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 4, cache_read_input_tokens: 5, output_tokens: 2 },
  });
}
