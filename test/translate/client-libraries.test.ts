import { describe, expect, test } from "bun:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, jsonSchema, streamText, tool } from "ai";
import OldAnthropic from "anthropic-sdk-old";
import OpenAI from "openai";
import type { JsonObject } from "../../src/translate/chat/types.ts";
import type { ClientDialect, UpstreamKind } from "../../src/translate/dialects.ts";
import { toClientErrorBody } from "../../src/translate/errors/client-errors.ts";
import { readUpstreamFailure } from "../../src/translate/errors/upstream-errors.ts";
import { jsonOf, newContext, openAnswer, relay, translate } from "./fixture.ts";
import { type Answer, cutBy } from "./responses/chat-answers.ts";
import { anthropicUpstream, chatUpstream } from "./upstream-answers.ts";

const USAGE = {
  prompt_tokens: 20,
  completion_tokens: 9,
  total_tokens: 29,
  prompt_tokens_details: { cached_tokens: 5 },
};
const SPOKEN: Answer = { reasoning: "Hm, so", text: "Grüße 🙂", finish: "stop", usage: USAGE };
const CALLING: Answer = {
  text: "I look",
  calls: [
    { id: "toolu_1", name: "weather", arguments: '{"city":"Ulm"}' },
    { id: "toolu_2", name: "clock", arguments: "{}" },
  ],
  finish: "tool_calls",
  usage: USAGE,
};
const ANSWERS = { "text after thinking": SPOKEN, "parallel calls": CALLING };

/** A gateway in memory, in front of a scripted upstream; records what reached the upstream. */
class MemoryGateway {
  readonly requests: JsonObject[] = [];
  /** The same answers in their whole form. */
  readonly wholes: JsonObject[] = [];
  readonly #from: ClientDialect;
  readonly #to: UpstreamKind;
  readonly #answers: Answer[];

  constructor(pair: readonly [ClientDialect, UpstreamKind], answers: readonly Answer[]) {
    [this.#from, this.#to] = pair;
    this.#answers = [...answers];
  }

  readonly fetch = async (_url: unknown, init?: { body?: unknown }): Promise<Response> => {
    const given = JSON.parse(String(init?.body)) as JsonObject;
    const body = this.#to === "anthropic" ? { ...given, model: "claude-sonnet-4-5" } : given;
    const open = () => {
      const context = newContext({ promptTokens: 20, model: String(given["model"]) });
      return translate({ from: this.#from, to: this.#to, body, context });
    };
    this.requests.push(jsonOf(open().body));
    const answer = this.#answers.shift();
    if (answer === undefined) throw new Error("no answer left");
    const upstream = this.#to === "anthropic" ? anthropicUpstream : chatUpstream;
    const whole = openAnswer(open()).whole(upstream.whole(answer));
    this.wholes.push(jsonOf(whole));
    if (given["stream"] !== true) return Response.json(whole);
    const stream = upstream.stream(answer, { cut: cutBy([3, 1, 5]), interleaved: true });
    const text = relay(openAnswer(open()).openStream(), [stream]);
    return new Response(text, { headers: { "content-type": "text/event-stream" } });
  };
}

const asFetch = (gateway: { readonly fetch: unknown }) => gateway.fetch as typeof fetch;
const options = (gateway: MemoryGateway) => ({
  apiKey: "k",
  fetch: asFetch(gateway),
  maxRetries: 0,
});
const tools = [
  { name: "weather", input_schema: { type: "object" as const } },
  { name: "clock", input_schema: { type: "object" as const } },
];
const functions = tools.map(({ name, input_schema: parameters }) => ({
  type: "function" as const,
  function: { name, parameters },
}));
const HI = [{ role: "user" as const, content: "Hi" }];

describe.each(Object.entries(ANSWERS))("Anthropic's library gets %s", (_, answer) => {
  const ask = { model: "m", max_tokens: 100, messages: HI, tools };

  for (const to of ["neuron", "openai"] as const) {
    test(`as a stream that adds up to the whole answer (${to})`, async () => {
      const gateway = new MemoryGateway(["messages", to], [answer, answer]);
      const client = new Anthropic(options(gateway));
      const whole = await client.messages.create(ask);
      const streamed = await client.messages.stream(ask).finalMessage();
      expect(jsonOf(whole)).toEqual(gateway.wholes[0] ?? {});
      // The library adds a field of its own.
      expect(jsonOf(streamed)).toEqual({ ...gateway.wholes[1], parsed_output: null });
    });
  }

  test("in its oldest form that is in use, too", async () => {
    const gateway = new MemoryGateway(["messages", "neuron"], [answer]);
    const client = new OldAnthropic(options(gateway));
    const streamed = await client.messages.stream(ask).finalMessage();
    const whole = gateway.wholes[0] ?? {};
    // That version knows no thinking and counts the end's tokens alone.
    const known = (message: JsonObject) => ({ ...message, usage: undefined, content: undefined });
    expect(known(jsonOf(streamed))).toEqual(known(whole));
    const spoken = (message: JsonObject) =>
      (message["content"] as JsonObject[]).filter(({ type }) => type !== "thinking");
    expect(spoken(jsonOf(streamed))).toEqual(spoken(whole));
  });
});

describe.each(Object.entries(ANSWERS))("OpenAI's library gets %s", (_, answer) => {
  const ask = { model: "m", messages: HI, tools: functions };

  test("of Anthropic as a stream that adds up to the whole answer", async () => {
    const gateway = new MemoryGateway(["chat", "anthropic"], [answer, answer]);
    const client = new OpenAI({ ...options(gateway), baseURL: "http://cortex.test/v1" });
    const whole = await client.chat.completions.create(ask);
    const streamed = await client.chat.completions
      .stream({ ...ask, stream_options: { include_usage: true } })
      .finalChatCompletion();
    expect(jsonOf(whole)).toEqual(gateway.wholes[0] ?? {});
    expect(plain(jsonOf(streamed))).toEqual(plain(gateway.wholes[1] ?? {}));
  });
});

/** The library keeps the last piece of fields that are not OpenAI's, and parses what it accumulates. */
function plain(completion: JsonObject): JsonObject {
  const [choice] = completion["choices"] as { message: Record<string, unknown> }[];
  const { message, ...rest } = choice ?? { message: {} };
  const { reasoning_content: _reasoning, parsed: _parsed, tool_calls, ...said } = message;
  const calls = (tool_calls ?? []) as { id: string; function: JsonObject }[];
  return {
    ...completion,
    ...rest,
    choices: [],
    message: { ...said, refusal: said["refusal"] ?? null },
    calls: calls.map(({ id, function: called }) => [id, called["name"], called["arguments"]]),
  };
}

const vercelTools = {
  weather: tool({
    inputSchema: jsonSchema<{ city: string }>({
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
    }),
    execute: async ({ city }) => `Rain in ${city}`,
  }),
  clock: tool({
    inputSchema: jsonSchema({ type: "object", properties: {} }),
    execute: async () => "noon",
  }),
};

describe("Vercel's library calls tools and goes on", () => {
  const stopWhen = ({ steps }: { readonly steps: readonly unknown[] }) => steps.length === 2;
  const providers = {
    "Anthropic's dialect, a neuron": {
      pair: ["messages", "neuron"],
      model: (gateway: MemoryGateway) =>
        createAnthropic({ apiKey: "k", fetch: asFetch(gateway) })("m"),
    },
    "Anthropic's dialect, OpenAI": {
      pair: ["messages", "openai"],
      model: (gateway: MemoryGateway) =>
        createAnthropic({ apiKey: "k", fetch: asFetch(gateway) })("m"),
    },
    "chat, Anthropic": {
      pair: ["chat", "anthropic"],
      model: (gateway: MemoryGateway) =>
        createOpenAI({ apiKey: "k", fetch: asFetch(gateway) }).chat("m"),
    },
  } as const;

  for (const [name, { pair, model }] of Object.entries(providers)) {
    test(`whole (${name})`, async () => {
      const gateway = new MemoryGateway(pair, [CALLING, SPOKEN]);
      const ask = {
        model: model(gateway),
        tools: vercelTools,
        prompt: "Hi",
        maxOutputTokens: 99,
        stopWhen,
      };
      const result = await generateText(ask);
      expect(result.text).toBe("Grüße 🙂");
      expect(result.usage.inputTokens).toBe(2 * 20);
      expectResults(gateway.requests[1] ?? {}, pair[1]);
    });

    test(`streamed (${name})`, async () => {
      const gateway = new MemoryGateway(pair, [CALLING, SPOKEN]);
      const ask = {
        model: model(gateway),
        tools: vercelTools,
        prompt: "Hi",
        maxOutputTokens: 99,
        stopWhen,
      };
      const result = streamText(ask);
      await result.consumeStream();
      expect(await result.text).toBe("Grüße 🙂");
      expect(await result.finishReason).toBe("stop");
      expectResults(gateway.requests[1] ?? {}, pair[1]);
    });
  }

  function expectResults(request: JsonObject, to: UpstreamKind): void {
    const messages = request["messages"] as JsonObject[];
    const results =
      to === "anthropic"
        ? ((messages.at(-1)?.["content"] ?? []) as JsonObject[]).map((it) => [
            it["tool_use_id"],
            it["content"],
          ])
        : messages.slice(-2).map((it) => [it["tool_call_id"], it["content"]]);
    expect(results).toEqual([
      ["toolu_1", "Rain in Ulm"],
      ["toolu_2", "noon"],
    ]);
  }
});

test("Anthropic's library knows what kind of error it got, before and within a stream", async () => {
  const failure = readUpstreamFailure({ status: 503, body: "busy" });
  const body = toClientErrorBody(failure, { dialect: "messages", requestId: "req_1" });
  const refuse = async () => Response.json(body, { status: 529 });
  const options = { apiKey: "k", maxRetries: 0 };
  const client = new Anthropic({ ...options, fetch: refuse as unknown as typeof fetch });
  const ask = { model: "m", max_tokens: 9, messages: HI };
  const refused = async () => await client.messages.create(ask);
  await expect(refused()).rejects.toMatchObject({
    status: 529,
    type: "overloaded_error",
    apiMessage: "Upstream answered with status 503: busy",
  });

  const plainBody = { model: "m", max_tokens: 9, messages: HI };
  const stream = openAnswer(
    translate({ from: "messages", to: "neuron", body: plainBody }),
  ).openStream();
  const chunk = 'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n';
  const text = stream.push(new TextEncoder().encode(chunk)) + stream.fail(failure);
  const breakOff = async () =>
    new Response(text, { headers: { "content-type": "text/event-stream" } });
  const broken = new Anthropic({ ...options, fetch: breakOff as unknown as typeof fetch });
  await expect(broken.messages.stream(ask).finalMessage()).rejects.toMatchObject({
    type: "overloaded_error",
  });
});
