import { describe, expect, test } from "bun:test";
import {
  ANTHROPIC_END,
  ANTHROPIC_START,
  anthropicEvent,
  anthropicText,
  openaiChunk,
} from "../../fakes/fake-api.ts";
import { chunk, failure, STREAM_END, streamOf } from "../../fakes/fake-neuron.ts";
import { HeldStream } from "../../fakes/held-stream.ts";
import { fakeApi, fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

const QUESTION = [{ role: "user", content: "Hi" }];

/** One dialect as a client speaks it. */
interface Dialect {
  readonly name: "chat" | "messages" | "responses";
  readonly path: string;
  readonly body: (model: string) => Record<string, unknown>;
  /** The text of a whole answer. */
  readonly textOf: (answer: never) => string;
  /** The pieces of text in a stream. */
  readonly delta: RegExp;
  readonly end: string;
  /** What a stream that broke ends with, and nothing else holds. */
  readonly error: RegExp;
  readonly keepalive: string;
}

const CHAT: Dialect = {
  name: "chat",
  path: "/v1/chat/completions",
  body: (model) => ({ model, messages: QUESTION }),
  textOf: (answer: { choices: [{ message: { content: string } }] }) =>
    answer.choices[0].message.content,
  delta: /"delta":\{"content":"([^"]*)"/g,
  end: "data: [DONE]\n\n",
  error: /data: \{"error":\{"message":"[^\n]*\}\n\n$/,
  keepalive: ": ",
};
const MESSAGES: Dialect = {
  name: "messages",
  path: "/v1/messages",
  body: (model) => ({ model, max_tokens: 16, messages: QUESTION }),
  textOf: (answer: { content: [{ text: string }] }) => answer.content[0].text,
  delta: /"type":"text_delta","text":"([^"]*)"/g,
  end: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
  error: /event: error\ndata: \{"type":"error",[^\n]*\}\n\n$/,
  keepalive: "event: ping\n",
};
const RESPONSES: Dialect = {
  name: "responses",
  path: "/v1/responses",
  body: (model) => ({ model, input: "Hi" }),
  textOf: (answer: { output: [{ content: [{ text: string }] }] }) =>
    answer.output[0].content[0].text,
  delta: /"type":"response.output_text.delta".*?"delta":"([^"]*)"/g,
  end: "event: response.completed\n",
  error: /event: (response\.failed|error)\ndata: \{[^\n]*\}\n\n$/,
  keepalive: ": ",
};
const DIALECTS: Dialect[] = [CHAT, MESSAGES, RESPONSES];

type Kind = "neuron" | "openai" | "anthropic";
const KINDS: Kind[] = ["neuron", "openai", "anthropic"];

/** A gateway over one upstream of a kind, with the model "m". */
async function over(kind: Kind, overrides: Parameters<typeof gatewayOver>[1] = {}) {
  if (kind === "neuron") {
    const upstream = fakeNeuron().addModel("m", { state: "ready" });
    return { upstream, gateway: await gatewayOver([upstream], overrides) };
  }
  const upstream = fakeApi(kind, ["m"]);
  const apis = [{ api: upstream, name: "cloud" }];
  return { upstream, gateway: await gatewayOver([], { ...overrides, apis }) };
}

/** The first events of an answer of that kind of upstream. */
function beginning(kind: Kind, texts: readonly string[]): string {
  if (kind !== "anthropic") return texts.map((text) => openaiChunk({ content: text })).join("");
  const whole = anthropicText(texts);
  return ANTHROPIC_START + whole.slice(0, whole.lastIndexOf("event: content_block_stop"));
}

function answerWith(text: string): () => Response {
  return () => new Response(text, { headers: { "content-type": "text/event-stream" } });
}

function stream(gateway: TestGateway, dialect: Dialect, signal?: AbortSignal): Promise<Response> {
  return gateway.post(dialect.path, { ...dialect.body("m"), stream: true }, signal);
}

function textsOf(dialect: Dialect, stream: string): string {
  return [...stream.matchAll(dialect.delta)].map(([, text]) => text).join("");
}

const PAIRS = DIALECTS.flatMap((dialect) => KINDS.map((kind) => [dialect, kind] as const));

describe.each(PAIRS)("pair %#", (dialect, kind) => {
  const title = `${dialect.name} at ${kind}`;

  test(`${title}: a whole answer comes in the client's dialect, with its usage counted`, async () => {
    const { gateway } = await over(kind);
    const response = await gateway.post(`${dialect.path}?beta=true`, {
      ...dialect.body("m"),
      a_field_of_next_year: true,
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("request-id")).toMatch(/^req_/);
    expect(response.headers.get("x-request-id")).toBe(response.headers.get("request-id"));
    expect(dialect.textOf((await response.json()) as never)).toBe("Hello");
    const metrics = await gateway.metrics();
    expect(metrics).toMatch(/cortex_completion_tokens_total\{model="m",neuron="\w+"\} 2/);
    expect(metrics).toMatch(/cortex_prompt_tokens_total\{model="m",neuron="\w+"\} [59]/);
    expect(metrics).toMatch(
      new RegExp(`cortex_requests_total\\{model="m",.*dialect="${dialect.name}",status="200"\\} 1`),
    );
  });

  test(`${title}: names of fields that a client invents do not become headers of their own`, async () => {
    const { gateway } = await over(kind);
    const response = await gateway.post(dialect.path, {
      ...dialect.body("m"),
      "evil\r\nX-Evil: 1": true,
      tools: [{ type: "evil\r\nX-Evil: 1", name: "evil\r\nX-Evil: 1" }],
    });
    expect(response.headers.get("x-evil")).toBeNull();
    expect(response.headers.get("x-cortex-dropped") ?? "").not.toContain("evil");
  });

  test(`${title}: a stream comes in the client's dialect and ends as it should`, async () => {
    const { gateway } = await over(kind);
    const text = await (await stream(gateway, dialect)).text();
    expect(textsOf(dialect, text)).toBe("Hello");
    expect(text).toContain(dialect.end);
    const metrics = await gateway.metrics();
    expect(metrics).toMatch(/cortex_completion_tokens_total\{model="m",neuron="\w+"\} 2/);
    expect(metrics).toMatch(/cortex_time_to_first_token_seconds_count\{.*\} 1/);
  });

  test(`${title}: a stream that is cut ends with an error event and never properly`, async () => {
    const { gateway, upstream } = await over(kind);
    upstream.answer = answerWith(beginning(kind, ["Hel", "lo"]));
    const text = await (await stream(gateway, dialect)).text();
    expect(textsOf(dialect, text)).toBe("Hello");
    expect(text).toMatch(dialect.error);
    expect(text).not.toContain(dialect.end);
  });

  test(`${title}: an upstream that dies in mid-stream is told as an error event`, async () => {
    const { gateway, upstream } = await over(kind);
    const held = new HeldStream();
    upstream.answer = () => held.response;
    held.write(beginning(kind, ["Hel"]));
    const response = await stream(gateway, dialect);
    const reader = response.body?.getReader();
    let text = new TextDecoder().decode((await reader?.read())?.value);
    await upstream.kill();
    for (;;) {
      const piece = await reader?.read();
      if (piece === undefined || piece.done) break;
      text += new TextDecoder().decode(piece.value);
    }
    expect(text).toMatch(dialect.error);
    expect(text).not.toContain(dialect.end);
  });

  test(`${title}: a client that leaves frees the upstream in mid-stream`, async () => {
    const { gateway, upstream } = await over(kind);
    const held = new HeldStream();
    held.write(beginning(kind, ["Hel"]));
    const arrived = Promise.withResolvers<AbortSignal>();
    upstream.answer = (request) => {
      arrived.resolve(request.signal);
      return held.response;
    };
    const client = new AbortController();
    const response = await stream(gateway, dialect, client.signal);
    await response.body?.getReader().read();
    const signal = await arrived.promise;
    const gone = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    client.abort();
    await gone;
    await gateway.until((status) => status.in_flight === 0);
  });

  test(`${title}: silence before and within a stream is broken in the client's dialect`, async () => {
    const { gateway, upstream } = await over(kind, { limits: { keepalive_seconds: 1 } });
    const held = new HeldStream();
    upstream.answer = () => held.response;
    const response = await stream(gateway, dialect);
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    const first = decoder.decode((await reader?.read())?.value);
    expect(first).toStartWith(dialect.keepalive);
    held.write(beginning(kind, ["Hel"]));
    let text = "";
    while (!text.includes(`\n\n${dialect.keepalive}`)) {
      text += decoder.decode((await reader?.read())?.value);
    }
    expect(textsOf(dialect, text)).toBe("Hel");
    await reader?.cancel();
  });

  test(`${title}: a reader that stalls stops the upstream instead of filling memory`, async () => {
    const { gateway, upstream } = await over(kind);
    const piece =
      kind === "anthropic" ? textDelta("x".repeat(64 * 1024)) : chunk("x".repeat(65536));
    let sent = 0;
    let pulling = Promise.withResolvers<void>();
    upstream.answer = () =>
      new Response(
        new ReadableStream<Uint8Array>({
          start: (controller) => {
            controller.enqueue(new TextEncoder().encode(beginning(kind, ["Hel"])));
          },
          pull: (controller) => {
            sent += piece.length;
            controller.enqueue(new TextEncoder().encode(piece));
            pulling.resolve();
            pulling = Promise.withResolvers<void>();
          },
        }),
        { headers: { "content-type": "text/event-stream" } },
      );
    const body = JSON.stringify({ ...dialect.body("m"), stream: true });
    const head = `POST ${dialect.path} HTTP/1.1\r\nHost: g\r\nContent-Length: ${body.length}\r\n\r\n`;
    const client = await Bun.connect({
      hostname: "127.0.0.1",
      port: gateway.port,
      socket: {
        open: (socket) => {
          socket.pause();
          socket.write(head + body);
        },
        data: () => undefined,
      },
    });
    let before = -1;
    while (sent !== before) {
      before = sent;
      await Promise.race([pulling.promise, Bun.sleep(300)]);
    }
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    client.terminate();
    await gateway.until((status) => status.in_flight === 0);
  });

  test(`${title}: an upstream's refusal is told in the client's envelope`, async () => {
    const { gateway, upstream } = await over(kind);
    const refuse = (status: number, code: string, headers: Record<string, string> = {}) =>
      "refuse" in upstream
        ? upstream.refuse(status, code, "Says why", headers)
        : failure(status, code, "Says why");
    for (const [status, code, chatStatus, messagesStatus, type] of [
      [400, "invalid_request", 400, 400, "invalid_request_error"],
      [413, "body_too_large", 413, 413, "request_too_large"],
      [429, "queue_full", 429, 429, "rate_limit_error"],
      [503, "unavailable", 503, 529, "overloaded_error"],
    ] as const) {
      upstream.answer = () => refuse(status, code);
      const response = await gateway.post(dialect.path, dialect.body("m"));
      const body = (await response.json()) as { type?: string; error: { type: string } };
      expect(JSON.stringify(body)).toContain("Says why");
      // What passes as it came keeps its own words.
      if (dialect.name === "messages" && kind !== "anthropic") {
        expect([response.status, body.type, body.error.type]).toEqual([
          messagesStatus,
          "error",
          type,
        ]);
      } else if (dialect.name !== "messages") {
        expect([status, response.status]).toEqual([status, chatStatus]);
        expect(body.type).toBeUndefined();
      } else expect(response.status).toBe(status);
      if (status === 429 || status === 503) {
        expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
      }
    }
  });

  test(`${title}: bad bodies are the client's fault in the client's envelope, never a 500`, async () => {
    const { gateway, upstream } = await over(kind);
    const messages = dialect.name === "responses" ? "input" : "messages";
    const bad: (string | Uint8Array)[] = [
      "",
      "{",
      "null",
      "[]",
      '"text"',
      "{}",
      '{"model":7}',
      '{"model":"m","stream":"yes"}',
      '{"model":"m",}',
    ];
    if (dialect.name !== "chat" || kind === "anthropic") {
      bad.push(
        `{"model":"m","max_tokens":5,"${messages}":7}`,
        `{"model":"m","max_tokens":5,"${messages}":[7]}`,
        `{"model":"m","max_tokens":5,"${messages}":[{"role":"king","content":"x"}]}`,
        `{"model":"m","max_tokens":5,"${messages}":[{"role":"user","content":"\\ud800"}]}`,
        Buffer.concat([
          Buffer.from(`{"model":"m","max_tokens":5,"${messages}":[{"role":"user","content":"`),
          Buffer.from([0xff, 0xfe]),
          Buffer.from('"}]}'),
        ]),
        `{"model":"m","max_tokens":5,"${messages}":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
      );
    }
    for (const body of bad) {
      const response = await fetch(gateway.url + dialect.path, { method: "POST", body });
      const answer = (await response.json()) as { type?: string; error: { message: string } };
      const shown = String(body).slice(0, 100);
      // Anthropic's own dialect is checked by that API.
      if (dialect.name === "messages" && kind === "anthropic" && response.status === 200) continue;
      expect([shown, response.status]).toEqual([shown, 400]);
      expect(answer.type === "error").toBe(dialect.name === "messages");
      expect(answer.error.message).not.toBe("");
    }
    expect(upstream.requests.filter(({ text }) => text.includes("\ufffd"))).toEqual([]);
  });
});

function textDelta(text: string): string {
  return anthropicEvent({
    type: "content_block_delta",
    index: 0,
    delta: { type: "text_delta", text },
  });
}

describe("between kinds of upstreams", () => {
  test.each(DIALECTS)(
    "a request is translated anew for another kind when the first one fails ($name)",
    async (dialect) => {
      const openai = fakeApi("openai", ["m"]);
      const anthropic = fakeApi("anthropic", ["m"]);
      openai.answer = () => openai.refuse(500, "server_error", "broken");
      const apis = [
        { api: openai, name: "one" },
        { api: anthropic, name: "two" },
      ];
      const gateway = await gatewayOver([], { apis });
      for (const turn of [1, 2, 3, 4]) {
        const response = await gateway.post(dialect.path, dialect.body("m"));
        expect([turn, response.status]).toEqual([turn, 200]);
        expect(dialect.textOf((await response.json()) as never)).toBe("Hello");
      }
      expect(anthropic.asked.every(({ path }) => path === "/v1/messages")).toBe(true);
      expect(anthropic.asked).toHaveLength(4);
    },
  );

  test.each(DIALECTS)(
    "a stream that dies before its first byte goes elsewhere ($name)",
    async (dialect) => {
      const anthropic = fakeApi("anthropic", ["m"]);
      const neuron = fakeNeuron().addModel("m", { state: "ready" });
      anthropic.answer = answerWith("");
      const gateway = await gatewayOver([neuron], { apis: [{ api: anthropic, name: "cloud" }] });
      for (const turn of [1, 2, 3]) {
        const text = await (await stream(gateway, dialect)).text();
        expect([turn, textsOf(dialect, text)]).toEqual([turn, "Hello"]);
        expect(text).toContain(dialect.end);
      }
    },
  );

  test("an error event of one dialect is told in the other, with what it means", async () => {
    const { gateway, upstream } = await over("anthropic");
    const error = anthropicEvent({
      type: "error",
      error: { type: "overloaded_error", message: "Overloaded" },
    });
    upstream.answer = answerWith(beginning("anthropic", ["Hel"]) + error);
    const text = await (await stream(gateway, CHAT)).text();
    expect(text).toMatch(CHAT.error);
    expect(text).toContain('"message":"Overloaded"');
    expect(text).toContain('"code":"unavailable"');
    const openai = await over("openai");
    openai.upstream.answer = answerWith(
      `${beginning("openai", ["Hel"])}data: {"error":{"message":"Out of memory","code":500}}\n\n`,
    );
    const messages = await (await stream(openai.gateway, MESSAGES)).text();
    expect(messages).toMatch(MESSAGES.error);
    expect(messages).toContain("Out of memory");
  });

  test("a prompt that is too long is told in the words that each client knows", async () => {
    const { gateway, upstream } = await over("neuron");
    upstream.answer = () =>
      Response.json(
        {
          error: {
            message: "Request has 9000 tokens, the context is 8192",
            type: "invalid_request_error",
            code: "context_length_exceeded",
            figures: { prompt_tokens: 9000, context_tokens: 8192 },
          },
        },
        { status: 400 },
      );
    const messages = await gateway.post(MESSAGES.path, MESSAGES.body("m"));
    expect(messages.status).toBe(400);
    expect(((await messages.json()) as { error: { message: string } }).error.message).toBe(
      "prompt is too long: 9000 tokens > 8192 maximum",
    );
    const responses = await gateway.post(RESPONSES.path, RESPONSES.body("m"));
    expect(await responses.json()).toMatchObject({ error: { code: "context_length_exceeded" } });
  });

  test("thinking of an Anthropic API comes back to it with the next turn of an OpenAI client", async () => {
    const { gateway, upstream } = await over("anthropic");
    const thinking = { type: "thinking", thinking: "Hm", signature: "sealed" };
    const call = { type: "tool_use", id: "toolu_1", name: "look", input: { at: "x" } };
    upstream.answer = () =>
      Response.json({
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "m",
        content: [thinking, call],
        stop_reason: "tool_use",
        stop_sequence: null,
        usage: { input_tokens: 4, output_tokens: 2 },
      });
    const tools = [
      { type: "function", function: { name: "look", parameters: { type: "object" } } },
    ];
    const asked = { model: "m", messages: QUESTION, tools, reasoning_effort: "high" };
    const first = (await (await gateway.post(CHAT.path, asked)).json()) as {
      choices: [{ message: { tool_calls: [{ id: string }]; thinking_blocks: unknown } }];
    };
    const [{ message }] = first.choices;
    expect(message.thinking_blocks).toEqual([thinking]);
    // As most clients do: what they do not know is not sent back.
    const { thinking_blocks: _, ...known } = message;
    const next = [
      ...QUESTION,
      { role: "assistant", ...known },
      { role: "tool", tool_call_id: message.tool_calls[0].id, content: "seen" },
    ];
    await gateway.post(CHAT.path, { ...asked, messages: next });
    expect("asked" in upstream && upstream.asked[1]?.body).toMatchObject({
      messages: [
        { role: "user" },
        { role: "assistant", content: [thinking, call] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1" }] },
      ],
    });
  });

  test("what streams although it was asked for whole, and the reverse, is a failure", async () => {
    const { gateway, upstream } = await over("neuron");
    upstream.answer = () => streamOf([chunk("Hel"), STREAM_END]);
    expect((await gateway.post(MESSAGES.path, MESSAGES.body("m"))).status).toBe(502);
    upstream.answer = () => Response.json({ choices: [] });
    expect((await stream(gateway, MESSAGES)).status).toBe(502);
    upstream.answer = () => new Response("<html>", { headers: { "content-type": "text/html" } });
    expect((await gateway.post(MESSAGES.path, MESSAGES.body("m"))).status).toBe(502);
  });

  test("a cold model is loaded for each dialect, and its client hears of it meanwhile", async () => {
    for (const dialect of DIALECTS) {
      const neuron = fakeNeuron().addModel("m");
      neuron.holdLoads = true;
      const gateway = await gatewayOver([neuron], { limits: { keepalive_seconds: 1 } });
      const response = await stream(gateway, dialect);
      const reader = response.body?.getReader();
      const decoder = new TextDecoder();
      let text = decoder.decode((await reader?.read())?.value);
      expect(text).toStartWith(dialect.keepalive);
      neuron.finishLoad("m");
      for (;;) {
        const piece = await reader?.read();
        if (piece === undefined || piece.done) break;
        text += decoder.decode(piece.value);
      }
      expect(textsOf(dialect, text)).toBe("Hello");
      expect(text).toContain(dialect.end);
    }
  });
});

test("an Anthropic stream's last events are what the fakes say", () => {
  expect(ANTHROPIC_END).toEndWith(MESSAGES.end);
});
