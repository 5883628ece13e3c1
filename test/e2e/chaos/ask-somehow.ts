/** The three dialects of a client, and how the end of a request shows in each. */
interface Dialect {
  readonly path: string;
  body(question: string): object;
  /** In the text of a stream. */
  readonly firstToken: RegExp;
  readonly cleanEnd: RegExp;
  readonly errorEnd: RegExp;
  /** Asks for the usage at the end of a stream, where that is not told unasked. */
  readonly streamFields?: object;
}

export const DIALECTS = {
  chat: {
    path: "/v1/chat/completions",
    body: (question) => ({ messages: [{ role: "user", content: question }] }),
    firstToken: /"delta":\{[^}]*"content":"[^"]/,
    cleanEnd: /data: \[DONE\]\n\n$/,
    errorEnd: /data: \{"error":.*\}\n\n$/,
    streamFields: { stream_options: { include_usage: true } },
  },
  messages: {
    path: "/v1/messages",
    body: (question) => ({ messages: [{ role: "user", content: question }] }),
    firstToken: /"type":"text_delta","text":"[^"]/,
    cleanEnd: /event: message_stop\ndata: .*\n\n$/,
    errorEnd: /event: error\ndata: .*\n\n$/,
  },
  responses: {
    path: "/v1/responses",
    body: (question) => ({ input: question, store: false }),
    firstToken: /event: response\.output_text\.delta\n/,
    cleanEnd: /event: response\.(completed|incomplete)\ndata: .*\n\n$/,
    errorEnd: /event: (error|response\.failed)\ndata: .*\n\n$/,
  },
} as const satisfies Record<string, Dialect>;

export interface SomeRequest {
  readonly dialect: keyof typeof DIALECTS;
  readonly model: string;
  readonly question: string;
  readonly stream: boolean;
  readonly tokens: number;
  /** Leaves after so many milliseconds. */
  readonly leavesAfterMs: number | undefined;
}

/** How a request went, as its client sees it. `lost` and `hung` must not be. */
export type Outcome =
  | { readonly kind: "answered"; readonly completionTokens: number }
  | { readonly kind: "left" | "broken" }
  | { readonly kind: "lost" | "hung" | "wrong"; readonly detail: string };

/** No byte for so long is a hang: streams hear keep-alives each few seconds, whole answers wait for their turn. */
const SILENCE_MS = 120_000;

/** Sends one request and reads it to its end. */
export async function askSomehow(url: string, request: SomeRequest): Promise<Outcome> {
  const leave = new AbortController();
  const leaving =
    request.leavesAfterMs === undefined
      ? undefined
      : setTimeout(() => leave.abort("left"), request.leavesAfterMs);
  let silence: Timer | undefined;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => leave.abort("hung"), SILENCE_MS);
  };
  const { path, body, streamFields }: Dialect = DIALECTS[request.dialect];
  const limit = request.dialect === "responses" ? "max_output_tokens" : "max_tokens";
  let text = "";
  let status = 0;
  heard();
  try {
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: request.model,
        ...body(request.question),
        [limit]: request.tokens,
        temperature: 0,
        stream: request.stream,
        ...(request.stream ? streamFields : {}),
      }),
      signal: leave.signal,
    });
    status = response.status;
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) {
      heard();
      text += decoder.decode(piece, { stream: true });
    }
    return judge(request, { status, text });
  } catch (thrown) {
    if (leave.signal.reason === "left") return { kind: "left" };
    const detail = `${describe(request)}: status ${status}, ${String(thrown)}, ${tail(text)}`;
    return { kind: leave.signal.reason === "hung" ? "hung" : "wrong", detail };
  } finally {
    clearTimeout(silence);
    clearTimeout(leaving);
  }
}

function judge(
  request: SomeRequest,
  { status, text }: { readonly status: number; readonly text: string },
): Outcome {
  const { firstToken, cleanEnd, errorEnd } = DIALECTS[request.dialect];
  const detail = `${describe(request)}: status ${status}, ${tail(text)}`;
  if (status !== 200) return { kind: "lost", detail };
  if (!request.stream) {
    return text.startsWith("{") && text.endsWith("}")
      ? { kind: "answered", completionTokens: readTokens(text) }
      : { kind: "wrong", detail };
  }
  const [clean, failed] = [cleanEnd.test(text), errorEnd.test(text)];
  if (clean === failed) return { kind: "wrong", detail };
  if (clean) return { kind: "answered", completionTokens: readTokens(text) };
  return firstToken.test(text) ? { kind: "broken" } : { kind: "lost", detail };
}

/** The last usage of an answer; each dialect has one of the two names. */
function readTokens(text: string): number {
  const told = [...text.matchAll(/"(?:completion|output)_tokens":\s*(\d+)/g)].at(-1)?.[1];
  return told === undefined ? Number.NaN : Number(told);
}

function describe(request: SomeRequest): string {
  return `${request.dialect} ${request.stream ? "stream" : "whole"} of ${request.model}`;
}

function tail(text: string): string {
  return JSON.stringify(text.slice(-300));
}
