import { describe, expect, test } from "bun:test";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";
import type { ChatRequest, JsonObject } from "../../../src/translate/chat/types.ts";
import { fromChatCompletion } from "../../../src/translate/responses/answer-from-chat.ts";
import { toChatRequest } from "../../../src/translate/responses/request-to-chat.ts";
import { toStoredItems } from "../../../src/translate/responses/stored-items.ts";
import { ResponsesStreamWriter } from "../../../src/translate/responses/stream-from-chat.ts";
import { type Answer, cutBy, newContext, toChunks, toCompletion } from "./chat-answers.ts";

const USAGE = { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29 };

/** A server in memory: translates what a client's library sends, and gives it scripted answers in turn. */
class MemoryServer {
  readonly chats: ChatRequest[] = [];
  readonly dropped: string[] = [];
  /** The responses that were given, in their whole form. */
  readonly responses: JsonObject[] = [];
  readonly #answers: Answer[];
  readonly #items = new Map<string, JsonObject>();
  readonly #context = newContext();

  constructor(answers: readonly Answer[]) {
    this.#answers = [...answers];
  }

  readonly fetch = async (_url: unknown, init?: { body?: unknown }): Promise<Response> => {
    const body = JSON.parse(String(init?.body)) as JsonObject;
    const request = toChatRequest(body, { findItem: (id) => this.#items.get(id) });
    this.chats.push(request.chat);
    this.dropped.push(...request.dropped);
    const answer = this.#answers.shift();
    if (answer === undefined) throw new Error("No answer left");
    // Both forms draw the same ids.
    const counts = new Map<string, number>();
    const turn = this.chats.length;
    const newId = (prefix: string) => {
      const count = (counts.get(prefix) ?? 0) + 1;
      counts.set(prefix, count);
      return `${prefix}_${turn}_${count}`;
    };
    const whole = { settings: request.answer, context: { ...this.#context, newId } };
    const response = fromChatCompletion(toCompletion(answer), whole);
    this.responses.push(response);
    if (request.stored !== undefined) {
      const items = toStoredItems(response["output"] as JsonObject[], newId);
      for (const item of items) this.#items.set(String(item["id"]), item);
    }
    counts.clear();
    if (body["stream"] !== true) return Response.json(response);
    const writer = new ResponsesStreamWriter(whole);
    const chunks = toChunks(answer, { cut: cutBy([4, 1, 7]), interleaved: true });
    const text = chunks.map((chunk) => writer.push(chunk)).join("") + writer.end();
    return new Response(text, { headers: { "content-type": "text/event-stream" } });
  };
}

function clientOf(server: MemoryServer): OpenAI {
  const options = { apiKey: "k", baseURL: "http://cortex.test/v1", maxRetries: 0 };
  return new OpenAI({ ...options, fetch: server.fetch as unknown as typeof fetch });
}

const WEATHER = {
  type: "function" as const,
  name: "weather",
  strict: true,
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};

const ANSWERS: readonly (readonly [string, Answer])[] = [
  ["text", { text: "Hello 😀 there", finish: "stop", usage: USAGE }],
  ["reasoning and text", { reasoning: "Let me think", text: "42", finish: "stop", usage: USAGE }],
  ["a refusal", { refusal: "I will not", finish: "stop", usage: USAGE }],
  ["cut text", { text: "Once upon", finish: "length", usage: USAGE }],
  [
    "parallel calls",
    {
      text: "Looking",
      calls: [
        { id: "call_a", name: "weather", arguments: '{"city":"Bern"}' },
        { id: "call_b", name: "weather", arguments: '{"city":"Zürich"}' },
        { id: "call_c", name: "patch", arguments: '{"input":"a\\n\\"b\\""}' },
      ],
      finish: "tool_calls",
      usage: USAGE,
    },
  ],
  ["nothing", { finish: "stop", usage: USAGE }],
];

describe("OpenAI's library", () => {
  test.each(ANSWERS)(
    "reads a stream of %s into the response of the whole form",
    async (_name, answer) => {
      const server = new MemoryServer([answer]);
      const stream = clientOf(server).responses.stream({
        model: "m",
        input: "hi",
        reasoning: { summary: "auto" },
        tools: [WEATHER, { type: "custom", name: "patch" }],
      });
      const types: string[] = [];
      for await (const event of stream) types.push(event.type);
      const final = await stream.finalResponse();
      expect(types[0]).toBe("response.created");
      expect(withoutParsed(final)).toEqual(server.responses[0]);
    },
  );

  test.each(ANSWERS)("reads a whole answer of %s", async (_name, answer) => {
    const server = new MemoryServer([answer]);
    const response = await clientOf(server).responses.create({
      model: "m",
      input: "hi",
      tools: [WEATHER, { type: "custom", name: "patch" }],
    });
    expect(response.output_text).toBe(answer.text ?? "");
    expect(response.status).toBe(answer.finish === "length" ? "incomplete" : "completed");
  });

  test("parses structured output and the arguments of strict tools", async () => {
    const calls = [{ id: "call_a", name: "weather", arguments: '{"city":"Bern"}' }];
    const server = new MemoryServer([{ text: '{"n":1}', calls, finish: "stop", usage: USAGE }]);
    const schema = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
    const response = await clientOf(server).responses.parse({
      model: "m",
      input: "hi",
      text: { format: { type: "json_schema", name: "number", strict: true, schema } },
      tools: [WEATHER],
    });
    expect(response.output_parsed).toEqual({ n: 1 });
    expect(server.chats[0]?.response_format).toEqual({
      type: "json_schema",
      json_schema: { name: "number", strict: true, schema },
    });
  });

  test("takes its own output as the next input", async () => {
    const calls = [{ id: "call_a", name: "weather", arguments: '{"city":"Bern"}' }];
    const server = new MemoryServer([
      { reasoning: "Hm", calls, finish: "tool_calls", usage: USAGE },
      { text: "Sunny", finish: "stop", usage: USAGE },
    ]);
    const client = clientOf(server);
    const asked = {
      model: "m",
      store: false,
      include: ["reasoning.encrypted_content" as const],
      tools: [WEATHER],
    };
    const question = { role: "user" as const, content: "Weather?" };
    const first = await client.responses.create({ ...asked, input: [question] });
    const output = { type: "function_call_output" as const, call_id: "call_a", output: "sun" };
    const input = [question, ...first.output, output] as OpenAI.Responses.ResponseInput;
    const second = await client.responses.create({ ...asked, input });
    expect(second.output_text).toBe("Sunny");
    expect(server.chats[1]?.messages).toEqual([
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: null,
        reasoning_content: "Hm",
        tool_calls: [
          {
            id: "call_a",
            type: "function",
            function: { name: "weather", arguments: '{"city":"Bern"}' },
          },
        ],
      },
      { role: "tool", tool_call_id: "call_a", content: "sun" },
    ]);
  });
});

/** What the library adds to a response. */
function withoutParsed(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, entry) =>
      /^(parsed|parsed_arguments|output_parsed|output_text)$/.test(key) && typeof entry !== "object"
        ? undefined
        : /^(parsed|parsed_arguments|output_parsed)$/.test(key)
          ? undefined
          : entry,
    ),
  );
}

describe("Vercel's library", () => {
  const weather = tool({
    description: "Tells the weather",
    inputSchema: jsonSchema<{ city: string }>(WEATHER.parameters as never),
    execute: async ({ city }) => `Sunny in ${city}`,
  });

  function modelOf(server: MemoryServer) {
    const provider = createOpenAI({
      apiKey: "k",
      baseURL: "http://cortex.test/v1",
      fetch: server.fetch as unknown as typeof fetch,
    });
    return provider.responses("m");
  }

  test.each([true, false])(
    "runs a tool over two turns of a stream, with store %p",
    async (store) => {
      const calls = [
        { id: "call_a", name: "weather", arguments: '{"city":"Bern"}' },
        { id: "call_b", name: "weather", arguments: '{"city":"Basel"}' },
      ];
      const server = new MemoryServer([
        { reasoning: "Hm", text: "Looking. ", calls, finish: "tool_calls", usage: USAGE },
        { text: "It is sunny", finish: "stop", usage: USAGE },
      ]);
      const result = streamText({
        model: modelOf(server),
        prompt: "Weather?",
        tools: { weather },
        stopWhen: ({ steps }) => steps.length >= 2,
        providerOptions: {
          openai: { store, include: ["reasoning.encrypted_content"] },
        },
      });
      let text = "";
      for await (const piece of result.textStream) text += piece;
      expect(text).toBe("Looking. It is sunny");
      expect((await result.totalUsage).outputTokens).toBe(18);
      expect(server.chats).toHaveLength(2);
      expect(server.chats[1]?.messages.slice(1)).toEqual([
        {
          role: "assistant",
          content: "Looking. ",
          reasoning_content: "Hm",
          tool_calls: calls.map(({ id, ...rest }) => ({ id, type: "function", function: rest })),
        },
        { role: "tool", tool_call_id: "call_a", content: "Sunny in Bern" },
        { role: "tool", tool_call_id: "call_b", content: "Sunny in Basel" },
      ]);
    },
  );

  test.each(ANSWERS)("reads a whole answer of %s", async (_name, answer) => {
    const server = new MemoryServer([answer]);
    const { text, usage } = await generateText({ model: modelOf(server), prompt: "hi" });
    expect(text).toBe(answer.text ?? answer.refusal ?? "");
    expect(usage.inputTokens).toBe(20);
  });
});
