import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ByteSpan } from "../../../src/base/byte-span.ts";
import { endOfBeginning } from "../../../src/gateway/prefix/prompt-chain.ts";
import { type PromptForm, readPromptChain } from "../../../src/gateway/prefix/prompt-reader.ts";
import { readRoutingFields } from "../../../src/gateway/proxy/routing-fields.ts";
import type { JsonObject } from "../../../src/translate/chat/types.ts";
import { translateRequest } from "../../../src/translate/translation.ts";

function chainOfText(text: string, form: PromptForm) {
  const bytes = Buffer.from(`xx${text}yy`);
  const body = new ByteSpan(bytes, 2, bytes.length - 2);
  return readPromptChain(body, form, readRoutingFields(body).parts);
}

function chainOf(body: object, form: PromptForm = "chat") {
  return chainOfText(JSON.stringify({ model: "m", ...body }), form);
}

/** The request as a neuron gets it, which is chat. */
function translated(body: JsonObject, from: "messages" | "responses"): JsonObject {
  const context = {
    requestId: "req_1",
    createdSeconds: 1,
    model: "m",
    promptTokens: 1,
    newId: (prefix: string) => `${prefix}_1`,
    recallThinking: () => undefined,
    keepThinking: () => undefined,
  };
  const request = { from, to: "neuron" as const, body: { model: "m", ...body }, context };
  const translation = translateRequest(request);
  if (translation === undefined) throw new Error(`No translation from ${from}`);
  return translation.body;
}

/** How many beginnings two chains share. */
function shared(one: { keys: readonly number[] }, other: { keys: readonly number[] }): number {
  const different = one.keys.findIndex((key, index) => key !== other.keys[index]);
  return different < 0 ? one.keys.length : different;
}

const LONG = "The quick brown fox jumps over the lazy dog. ".repeat(60);
const SCHEMA = {
  type: "object",
  properties: { path: { type: "string", description: "Where 'it' is" }, deep: { type: "boolean" } },
  required: ["path"],
};
const CHAT_TOOLS = ["read", "write"].map((name) => ({
  type: "function",
  function: { name, description: `${name}: ${LONG}`, parameters: SCHEMA },
}));
const TURNS = [
  { role: "user", content: `${LONG} Read it.` },
  {
    role: "assistant",
    content: "So I do.",
    tool_calls: [
      { id: "c1", type: "function", function: { name: "read", arguments: '{"path":"a \\"b\\""}' } },
    ],
  },
  { role: "tool", tool_call_id: "c1", content: `What it says: ${LONG}` },
  { role: "assistant", content: "Done." },
  { role: "user", content: "Thanks" },
];

describe("prompt reader", () => {
  test("a conversation that grows keeps the beginnings that it had", () => {
    let before = chainOf({ messages: [] });
    for (let count = 1; count <= TURNS.length; count += 1) {
      const now = chainOf({ messages: TURNS.slice(0, count), tools: CHAT_TOOLS });
      expect(shared(before, now)).toBe(before.keys.length);
      expect(now.bytes).toBeGreaterThan(before.bytes);
      before = now;
    }
    expect(before.keys.length).toBeGreaterThan(5);
  });

  test("the order of fields is all the same, at every depth but in a schema", () => {
    const body = { stream: true, messages: TURNS, tools: CHAT_TOOLS, temperature: 0 };
    const expected = chainOf(body);
    fc.assert(
      fc.property(fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (draws) => {
        const draw = () => draws.next().value ?? 0;
        expect(chainOf(shuffled({ model: "m", ...body }, draw) as object)).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  test("a text is the same as a list with one block, with or without a mark for caches", () => {
    const asBlocks = TURNS.map((turn) => ({
      ...turn,
      content: [{ type: "text", text: turn.content, cache_control: { type: "ephemeral" } }],
    }));
    expect(chainOf({ messages: asBlocks })).toEqual(chainOf({ messages: TURNS }));
  });

  test("ids of calls and reasoning are left out, who speaks and what is called are not", () => {
    const expected = chainOf({ messages: TURNS });
    const text = JSON.stringify({ model: "m", messages: TURNS });
    expect(chainOfText(text.replaceAll('"c1"', '"call_other"'), "chat")).toEqual(expected);
    const reasoned = text.replace('"content":"So', '"reasoning_content":"Hm","content":"So');
    expect(reasoned).not.toBe(text);
    expect(chainOfText(reasoned, "chat")).toEqual(expected);
    for (const change of [
      text.replace('"role":"user"', '"role":"assistant"'),
      text.replace('"name":"read"', '"name":"write"'),
      text.replace("a \\\\\\", "b \\\\\\"),
    ]) {
      expect(change).not.toBe(text);
      expect(chainOfText(change, "chat")).not.toEqual(expected);
    }
  });

  test("a conversation of the messages dialect is the same as what a neuron gets of it", () => {
    const body: JsonObject = {
      max_tokens: 100,
      system: [{ type: "text", text: LONG, cache_control: { type: "ephemeral" } }],
      tools: ["read", "write"].map((name) => ({
        name,
        description: `${name}: ${LONG}`,
        input_schema: SCHEMA,
      })),
      messages: [
        { role: "user", content: "Read it." },
        {
          role: "assistant",
          content: [
            { type: "text", text: "So I do." },
            { type: "tool_use", id: "c1", name: "read", input: { path: 'a "b"\n' } },
            { type: "tool_use", id: "c2", name: "read", input: { path: "c" } },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "c1", content: LONG },
            { type: "tool_result", tool_use_id: "c2", content: [{ type: "text", text: LONG }] },
            { type: "text", text: "And now?", cache_control: { type: "ephemeral" } },
          ],
        },
      ],
    };
    const chat = chainOf(translated(body, "messages"));
    expect(chainOf(body, "messages")).toEqual(chat);
    expect(chat.keys.length).toBeGreaterThan(5);
  });

  test("a conversation of the responses dialect is the same as what a neuron gets of it", () => {
    const body: JsonObject = {
      instructions: LONG,
      tools: ["read", "write"].map((name) => ({
        type: "function",
        name,
        description: `${name}: ${LONG}`,
        parameters: SCHEMA,
      })),
      input: [
        { type: "message", role: "user", content: [{ type: "input_text", text: "Read it." }] },
        { type: "function_call", call_id: "c1", name: "read", arguments: '{"path":"a"}' },
        { type: "function_call_output", call_id: "c1", output: LONG },
        { role: "user", content: "And now?" },
      ],
    };
    const chat = chainOf(translated(body, "responses"));
    expect(chainOf(body, "responses")).toEqual(chat);
    expect(chat.keys.length).toBeGreaterThan(5);
    expect(chainOf({ input: LONG }, "responses")).toEqual(
      chainOf(translated({ input: LONG }, "responses")),
    );
  });

  test("what refers to an earlier response has no known beginning", () => {
    const body = { input: LONG, previous_response_id: "resp_1" };
    expect(chainOf(body, "responses").keys).toEqual([]);
    expect(chainOf({ ...body, previous_response_id: null }, "responses").keys).not.toEqual([]);
  });

  test("the system's words come before tools, and those before what users say", () => {
    const system = { role: "system", content: LONG };
    const one = chainOf({ messages: [system, ...TURNS], tools: CHAT_TOOLS });
    const otherTools = chainOf({ messages: [system, ...TURNS], tools: CHAT_TOOLS.slice(1) });
    const otherUser = chainOf({
      messages: [system, { role: "user", content: "Hi" }, ...TURNS],
      tools: CHAT_TOOLS,
    });
    const otherSystem = chainOf({
      messages: [{ role: "developer", content: "Be brief" }, ...TURNS],
      tools: CHAT_TOOLS,
    });
    const systemEnds = LONG.length;
    const toolsEnd = 3 * LONG.length;
    expect(endOfBeginning(shared(one, otherTools))).toBeGreaterThan(systemEnds);
    expect(endOfBeginning(shared(one, otherTools))).toBeLessThan(systemEnds + 1_500);
    expect(endOfBeginning(shared(one, otherUser))).toBeGreaterThan(toolsEnd);
    expect(shared(one, otherSystem)).toBe(0);
  });

  test("the billing line that Claude Code begins with is not read", () => {
    const body = (line: string) => ({
      max_tokens: 1,
      system: [
        { type: "text", text: line },
        { type: "text", text: LONG },
      ],
      messages: [{ role: "user", content: "Hi" }],
    });
    const header = "x-anthropic-billing-header: cc_version=2.1.3; cch=";
    const expected = chainOf({ ...body(""), system: LONG }, "messages");
    expect(chainOf(body(`${header}a1b2;`), "messages")).toEqual(expected);
    expect(chainOf(body(`${header}c3d4;`), "messages")).toEqual(expected);
    const joined = { ...body(""), system: `${header}c3d4;\n${LONG}` };
    expect(chainOf(joined, "messages")).toEqual(expected);
  });

  test("an image counts by its bytes and takes the room of an image, however large it is", () => {
    const image = (data: string) => ({
      messages: [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } },
            { type: "text", text: LONG },
          ],
        },
      ],
    });
    const one = chainOf(image("A".repeat(100_000)));
    expect(one.bytes).toBeLessThan(LONG.length + 6_100);
    expect(one.bytes).toBeGreaterThan(LONG.length + 6_000);
    expect(chainOf(image("A".repeat(100_000)))).toEqual(one);
    expect(shared(one, chainOf(image("B".repeat(100_000))))).toBe(0);
  });

  test("a plain prompt has a chain, and it is not that of a message", () => {
    const one = chainOf({ prompt: LONG }, "completions");
    expect(one.bytes).toBe(LONG.length + 1);
    expect(shared(one, chainOf({ messages: [{ role: "user", content: LONG }] }))).toBe(0);
  });

  test("whatever comes, it ends without an error", () => {
    const whole = JSON.stringify({ model: "m", tools: CHAT_TOOLS, messages: TURNS });
    const parts = { messages: { from: 0, to: 0 }, tools: { from: 0, to: 0 } };
    for (let cut = 0; cut < whole.length; cut += 7) {
      const body = new ByteSpan(Buffer.from(whole.slice(0, cut)));
      const at = { from: Math.max(0, whole.indexOf('[{"role"')), to: cut };
      readPromptChain(body, "chat", { ...parts, messages: at, tools: { from: 0, to: cut } });
    }
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (system, tools, messages) => {
        for (const form of ["chat", "messages", "responses", "completions"] as const) {
          chainOf({ system, tools, messages, input: messages, prompt: tools }, form);
        }
      }),
    );
  });

  test("content within content ends somewhere", () => {
    const deep = `${'{"content":['.repeat(50_000)}1${"]}".repeat(50_000)}`;
    expect(chainOfText(`{"model":"m","messages":[${deep}]}`, "chat").bytes).toBeLessThan(100);
    const tools = `${'{"function":'.repeat(50_000)}1${"}".repeat(50_000)}`;
    expect(chainOfText(`{"model":"m","tools":[${tools}]}`, "chat").bytes).toBeLessThan(100);
  });
});

/** The same value with the members of its objects in another order, but for schemas. */
function shuffled(value: unknown, draw: () => number): unknown {
  if (Array.isArray(value)) return value.map((element) => shuffled(element, draw));
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, child]): [string, unknown] => [
    name,
    name === "parameters" ? child : shuffled(child, draw),
  ]);
  return Object.fromEntries(
    members
      .map((member) => ({ member, rank: draw() }))
      .toSorted((a, b) => a.rank - b.rank)
      .map(({ member }) => member),
  );
}
