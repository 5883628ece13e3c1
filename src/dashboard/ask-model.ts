import { SseReader } from "../base/sse.ts";

/** The dialects that the gateway speaks with clients. */
export const DIALECTS = ["chat", "responses", "messages"] as const;
export type Dialect = (typeof DIALECTS)[number];

export interface Question {
  readonly dialect: Dialect;
  readonly model: string;
  readonly text: string;
  readonly tokensMax: number;
}

export interface AnswerListener {
  /** The answer has begun: where it comes from, as the gateway says. */
  readonly onRoute: (route: string) => void;
  readonly onText: (text: string) => void;
  readonly signal: AbortSignal;
}

const PATHS: Readonly<Record<Dialect, string>> = {
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
  messages: "/v1/messages",
};

/** The question as its dialect says it. */
export function toBody({ dialect, model, text, tokensMax }: Question): object {
  const messages = [{ role: "user", content: text }];
  switch (dialect) {
    case "chat":
      return { model, messages, max_tokens: tokensMax, stream: true };
    case "responses":
      return { model, input: text, max_output_tokens: tokensMax, stream: true, store: false };
    case "messages":
      return { model, messages, max_tokens: tokensMax, stream: true };
  }
}

/** Asks and hands on the text as it comes. Rejects with what an error says, also with one amid the stream. */
export async function askModel(question: Question, listener: AnswerListener): Promise<void> {
  const { onRoute, onText, signal } = listener;
  const response = await fetch(PATHS[question.dialect], {
    method: "POST",
    headers: { "content-type": "application/json", "anthropic-version": "2023-06-01" },
    body: JSON.stringify(toBody(question)),
    signal,
  });
  onRoute(response.headers.get("x-cortex-route") ?? "");
  if (!response.ok || response.body === null) throw new Error(readError(await response.text()));
  const reader = new SseReader();
  const decoder = new TextDecoder();
  const pieces = response.body.getReader();
  for (;;) {
    const { done, value } = await pieces.read();
    if (done) return;
    for (const { data } of reader.push(decoder.decode(value, { stream: true }))) {
      const text = readText(question.dialect, data);
      if (text !== "") onText(text);
    }
  }
}

/** The text that an event adds to the answer. Throws what an error event says. */
export function readText(dialect: Dialect, data: string): string {
  if (data === "[DONE]") return "";
  const event = JSON.parse(data) as {
    readonly type?: string;
    readonly error?: { readonly message?: string };
    readonly response?: { readonly error?: { readonly message?: string } };
    readonly message?: unknown;
    readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
    readonly delta?: string | { readonly text?: string };
  };
  if (event.error !== undefined) throw new Error(event.error.message ?? data);
  if (event.type === "response.failed") throw new Error(event.response?.error?.message ?? data);
  if (event.type === "error") throw new Error(String(event.message ?? data));
  switch (dialect) {
    case "chat":
      return event.choices?.[0]?.delta?.content ?? "";
    case "responses":
      return event.type === "response.output_text.delta" ? String(event.delta ?? "") : "";
    case "messages":
      return typeof event.delta === "object" ? (event.delta.text ?? "") : "";
  }
}

function readError(text: string): string {
  try {
    const { error } = JSON.parse(text) as { readonly error?: { readonly message?: string } };
    return error?.message ?? text;
  } catch {
    // Not an envelope of ours: a proxy in between may answer anything.
    return text;
  }
}
