/** What one event of a stream says. */
export interface BenchEvent {
  /** A piece of the answer, thinking included. */
  readonly isPiece?: boolean;
  readonly promptTokens?: number | undefined;
  readonly completionTokens?: number | undefined;
  /** The code or type of an error. */
  readonly error?: string;
  /** The stream has come to its proper end. */
  readonly isEnd?: boolean;
}

/** How a load is asked in one of the gateway's dialects. */
export interface BenchDialect {
  readonly path: string;
  readonly headers: (key: string | undefined) => Readonly<Record<string, string>>;
  readonly body: (ask: BenchAsk) => object;
  readonly read: (data: string) => BenchEvent;
}

export interface BenchAsk {
  readonly model: string;
  readonly prompt: string;
  readonly tokensMax: number;
}

export const BENCH_DIALECTS = ["chat", "completions", "responses", "messages"] as const;
export type BenchDialectName = (typeof BENCH_DIALECTS)[number];

const bearer = (key: string | undefined): Readonly<Record<string, string>> =>
  key === undefined ? {} : { authorization: `Bearer ${key}` };

/** Fields of any event that are of interest; whatever else there is counts for nothing. */
interface AnyEvent {
  readonly type?: string;
  readonly choices?: readonly {
    readonly text?: string;
    readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string };
  }[];
  readonly usage?: Usage | null;
  readonly message?: { readonly usage?: Usage };
  readonly response?: { readonly usage?: Usage | null; readonly error?: ErrorBody | null };
  readonly error?: ErrorBody;
  readonly code?: string | null;
}

interface Usage {
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly input_tokens?: number;
  readonly output_tokens?: number;
}

interface ErrorBody {
  readonly code?: string | null;
  readonly type?: string;
}

/** By the names of --dialect. */
export const DIALECTS: Readonly<Record<BenchDialectName, BenchDialect>> = {
  chat: {
    path: "/v1/chat/completions",
    headers: bearer,
    body: ({ model, prompt, tokensMax }) => ({
      ...{ model, max_tokens: tokensMax, stream: true, stream_options: { include_usage: true } },
      messages: [{ role: "user", content: prompt }],
    }),
    read: readOpenAi,
  },
  completions: {
    path: "/v1/completions",
    headers: bearer,
    body: ({ model, prompt, tokensMax }) => ({
      ...{ model, prompt, max_tokens: tokensMax, stream: true },
      stream_options: { include_usage: true },
    }),
    read: readOpenAi,
  },
  responses: {
    path: "/v1/responses",
    headers: bearer,
    body: ({ model, prompt, tokensMax }) => ({
      ...{ model, input: prompt, max_output_tokens: tokensMax, stream: true, store: false },
    }),
    read: readResponses,
  },
  messages: {
    path: "/v1/messages",
    headers: (key) => ({
      "anthropic-version": "2023-06-01",
      ...(key === undefined ? {} : { "x-api-key": key }),
    }),
    body: ({ model, prompt, tokensMax }) => ({
      ...{ model, max_tokens: tokensMax, stream: true },
      messages: [{ role: "user", content: prompt }],
    }),
    read: readMessages,
  },
};

function readOpenAi(data: string): BenchEvent {
  if (data === "[DONE]") return { isEnd: true };
  const event = JSON.parse(data) as AnyEvent;
  if (event.error !== undefined) return { error: nameError(event.error) };
  const [choice] = event.choices ?? [];
  const text = choice?.text || choice?.delta?.content || choice?.delta?.reasoning_content || "";
  return { isPiece: text !== "", ...tokensOf(event.usage) };
}

function readResponses(data: string): BenchEvent {
  const event = JSON.parse(data) as AnyEvent;
  const { type = "", response } = event;
  if (type === "error") return { error: event.code ?? "error" };
  if (type === "response.failed") return { error: nameError(response?.error ?? {}) };
  const isEnd = type === "response.completed" || type === "response.incomplete";
  const isPiece = /^response\.(output_text|reasoning(_summary)?_text)\.delta$/.test(type);
  return { isEnd, isPiece, ...tokensOf(response?.usage) };
}

function readMessages(data: string): BenchEvent {
  const event = JSON.parse(data) as AnyEvent;
  if (event.type === "error") return { error: nameError(event.error ?? {}) };
  return {
    isEnd: event.type === "message_stop",
    isPiece: event.type === "content_block_delta",
    ...tokensOf(event.message?.usage ?? event.usage),
  };
}

function tokensOf(usage: Usage | null | undefined): BenchEvent {
  if (usage === null || usage === undefined) return {};
  return {
    promptTokens: usage.prompt_tokens ?? usage.input_tokens,
    completionTokens: usage.completion_tokens ?? usage.output_tokens,
  };
}

function nameError({ code, type }: ErrorBody): string {
  return code ?? type ?? "error";
}
