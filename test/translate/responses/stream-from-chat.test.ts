import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CortexError } from "../../../src/base/errors.ts";
import type { ThinkingBlock } from "../../../src/translate/chat/types.ts";
import {
  type Answer,
  cutBy,
  openWriter,
  readRequest,
  toChunk,
  toChunks,
  toResponse,
  toStream,
} from "./chat-answers.ts";
import { type Event, ResponsesGrammar, readEvents } from "./responses-grammar.ts";

const TOOLS = [
  { type: "function", name: "look", parameters: { type: "object" } },
  { type: "custom", name: "patch" },
  { type: "namespace", name: "mcp__files", tools: [{ type: "function", name: "read.file" }] },
  { type: "tool_search", execution: "client", parameters: { type: "object" } },
];
const USAGE = {
  prompt_tokens: 20,
  completion_tokens: 9,
  total_tokens: 29,
  prompt_tokens_details: { cached_tokens: 12 },
  completion_tokens_details: { reasoning_tokens: 4 },
};

function typesOf(text: string): readonly string[] {
  return readEvents(text).map(({ type }) => type.replace("response.", ""));
}

function lastOf(text: string): Event {
  return new ResponsesGrammar().check(readEvents(text));
}

const jsonText = fc
  .dictionary(fc.string({ minLength: 1 }), fc.oneof(fc.string({ unit: "binary" }), fc.integer()))
  .map((value) => JSON.stringify(value));
/** What a model writes that forgot the JSON around a custom tool's input. */
const rawText = fc.string().filter((raw) => !raw.trimStart().startsWith("{"));
const inputText = fc.string({ unit: "binary" }).map((input) => JSON.stringify({ input }));
const call = fc.oneof(
  fc.record({
    name: fc.constantFrom("look", "unknown"),
    arguments: fc.oneof(jsonText, fc.constant("")),
  }),
  fc.record({ name: fc.constant("patch"), arguments: fc.oneof(inputText, rawText, jsonText) }),
  fc.record({ name: fc.constant("mcp__files__read_file"), arguments: jsonText }),
  fc.record({ name: fc.constant("tool_search"), arguments: jsonText }),
);
const block: fc.Arbitrary<ThinkingBlock> = fc.oneof(
  fc.record({
    type: fc.constant("thinking" as const),
    thinking: fc.string(),
    signature: fc.string(),
  }),
  fc.record({ type: fc.constant("redacted_thinking" as const), data: fc.base64String() }),
);
const text = fc.string({ unit: "binary" });
const answer: fc.Arbitrary<Answer> = fc
  .record(
    {
      reasoning: text,
      blocks: fc.array(block, { minLength: 1, maxLength: 3 }),
      text,
      refusal: text,
      calls: fc.array(call, { maxLength: 4 }),
      usage: fc.constant(USAGE),
      finish: fc.constantFrom("stop", "length", "tool_calls", "content_filter"),
    },
    { requiredKeys: ["finish"] },
  )
  .map(({ calls, ...rest }) => ({
    ...rest,
    ...(calls === undefined
      ? {}
      : { calls: calls.map((it, index) => ({ ...it, id: `call_${index}` })) }),
  })) as fc.Arbitrary<Answer>;

const request = fc
  .record({
    reasoning: fc.constantFrom(null, { summary: "auto" }, { effort: "low" }),
    include: fc.constantFrom(null, ["reasoning.encrypted_content"]),
    store: fc.boolean(),
  })
  .map((fields) => readRequest({ ...fields, tools: TOOLS }));

describe("a stream of the Responses dialect", () => {
  test("obeys the grammar and ends with the response of the whole form, however it is cut", () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(answer, request, cuts, fc.boolean(), (said, asked, lengths, interleaved) => {
        const chunks = toChunks(said, { cut: cutBy(lengths), interleaved });
        const writer = openWriter(asked);
        const end = lastOf(toStream(chunks, writer));
        expect(end["response"]).toEqual(toResponse(said, asked));
        expect(JSON.stringify(writer.finalResponse)).toBe(JSON.stringify(toResponse(said, asked)));
      }),
      { numRuns: 400 },
    );
  });

  test("stays within the grammar for chunks in any order", () => {
    const piece = fc.oneof(
      fc.record({ content: text }),
      fc.record({ reasoning_content: text }),
      fc.record({ refusal: text }),
      fc.record({ thinking_blocks: fc.array(block, { maxLength: 2 }) }),
      fc
        .record({
          index: fc.nat({ max: 3 }),
          id: fc.constantFrom(undefined, "call_x"),
          name: fc.constantFrom(undefined, "look", "patch"),
          arguments: fc.constantFrom("", "{", '{"input":"', 'a"}', "}", "\\", '"'),
        })
        .map(({ index, id, name, arguments: given }) => ({
          tool_calls: [
            {
              index,
              ...(id === undefined ? {} : { id: `${id}${index}` }),
              function: { ...(name === undefined ? {} : { name }), arguments: given },
            },
          ],
        })),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), request, (pieces, asked) => {
        const writer = openWriter(asked);
        let written = "";
        try {
          for (const delta of pieces) written += writer.push(toChunk(delta));
          written += writer.end();
        } catch (thrown) {
          if (!(thrown instanceof CortexError)) throw thrown;
          expect(thrown.code).toBe("neuron_failed");
          written += writer.fail(thrown);
        }
        lastOf(written);
        expect(writer.end() + writer.fail(new CortexError("internal", "x"))).toBe("");
      }),
      { numRuns: 400 },
    );
  });

  test("of text has these events", () => {
    const said: Answer = { text: "Hello", finish: "stop", usage: USAGE };
    expect(typesOf(toStream(toChunks(said, { cut: cutBy([3]) })))).toEqual([
      "created",
      "in_progress",
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "output_text.delta",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "completed",
    ]);
  });

  test("of reasoning has summary events where a summary was asked for, else its text", () => {
    const chunks = toChunks({ reasoning: "Hm", finish: "stop" }, { cut: cutBy([9]) });
    const shown = openWriter(readRequest({ reasoning: { summary: "auto" } }));
    expect(typesOf(toStream(chunks, shown)).slice(3, 7)).toEqual([
      "reasoning_summary_part.added",
      "reasoning_summary_text.delta",
      "reasoning_summary_text.done",
      "reasoning_summary_part.done",
    ]);
    expect(typesOf(toStream(chunks)).slice(3, 7)).toEqual([
      "content_part.added",
      "reasoning_text.delta",
      "reasoning_text.done",
      "content_part.done",
    ]);
  });

  test("of a custom tool has its free text, not the JSON around it", () => {
    const input = '*** Begin "Patch"\n+é😀\\';
    const said: Answer = {
      calls: [{ id: "call_1", name: "patch", arguments: JSON.stringify({ input }) }],
      finish: "tool_calls",
    };
    const events = readEvents(
      toStream(toChunks(said, { cut: cutBy([1]) }), openWriter(readRequest({ tools: TOOLS }))),
    );
    const deltas = events.filter(({ type }) => type === "response.custom_tool_call_input.delta");
    expect(deltas.map((event) => event["delta"]).join("")).toBe(input);
    expect(deltas.length).toBeGreaterThan(10);
    expect(events.at(-1)?.["response"]).toMatchObject({
      output: [{ id: "ctc_1", type: "custom_tool_call", call_id: "call_1", name: "patch", input }],
    });
  });

  test("gives a namespaced call back as the client declared it", () => {
    const said: Answer = {
      calls: [{ id: "call_1", name: "mcp__files__read_file", arguments: "{}" }],
      finish: "tool_calls",
    };
    const response = toResponse(said, readRequest({ tools: TOOLS }));
    expect(response["output"]).toMatchObject([
      { type: "function_call", name: "read.file", namespace: "mcp__files", arguments: "{}" },
    ]);
  });

  test("writes a second call as soon as the first one is whole", () => {
    const writer = openWriter(readRequest({ tools: TOOLS }));
    const delta = (index: number, given: string) =>
      writer.push(
        toChunk({
          tool_calls: [
            { index, id: `call_${index}`, function: { name: "look", arguments: given } },
          ],
        }),
      );
    delta(0, '{"a":"}');
    expect(delta(1, '{"b":')).toBe("");
    expect(typesOf(delta(0, '"}'))).toEqual([
      "function_call_arguments.delta",
      "function_call_arguments.done",
      "output_item.done",
      "output_item.added",
      "function_call_arguments.delta",
    ]);
    expect(delta(0, " \n")).toBe("");
    expect(() => delta(0, "{}")).toThrow("Arguments of call 0 go on after their end");
  });

  test("holds text that comes between the pieces of a call until the call is over", () => {
    const writer = openWriter(readRequest({ tools: TOOLS }));
    const piece = { index: 0, id: "call_1", function: { name: "look", arguments: '{"a"' } };
    writer.push(toChunk({ tool_calls: [piece] }));
    expect(writer.push(toChunk({ content: "late" }))).toBe("");
    writer.push(toChunk({ tool_calls: [{ index: 0, function: { arguments: ":1}" } }] }));
    writer.end();
    expect(writer.finalResponse?.["output"]).toMatchObject([
      { type: "function_call", arguments: '{"a":1}', status: "completed" },
      { type: "message", content: [{ text: "late" }] },
    ]);
  });

  test("fails before its first chunk with a whole stream", () => {
    const error = new CortexError("context_length_exceeded", "Too long");
    const end = lastOf(openWriter().fail(error));
    expect(end).toMatchObject({
      type: "response.failed",
      response: { error: { code: "context_length_exceeded", message: "Too long" }, usage: null },
    });
  });

  test("leaves an item that a failure cut open, so that no client runs half a call", () => {
    const writer = openWriter(readRequest({ tools: TOOLS }));
    const piece = { index: 0, id: "call_1", function: { name: "look", arguments: '{"a' } };
    const begun = writer.push(toChunk({ tool_calls: [piece] }));
    const rest = writer.fail(new CortexError("neuron_failed", "Gone"));
    expect(typesOf(rest)).toEqual(["failed"]);
    expect(lastOf(begun + rest)["response"]).toMatchObject({ output: [], status: "failed" });
    expect(writer.finalResponse).toBeUndefined();
  });

  test("tells a call without a name apart from an end", () => {
    const writer = openWriter();
    writer.push(toChunk({ tool_calls: [{ index: 0, function: { arguments: "{}" } }] }));
    expect(typesOf(writer.end())).toEqual(["failed"]);
  });

  test.each([
    ["length", "incomplete", { reason: "max_output_tokens" }],
    ["content_filter", "incomplete", { reason: "content_filter" }],
    ["stop", "completed", null],
    ["tool_calls", "completed", null],
  ] as const)("that stops for %s is %s", (finish, status, details) => {
    const response = toResponse({ text: "x", finish });
    expect(response).toMatchObject({ status, incomplete_details: details });
    expect(response["output"]).toMatchObject([{ status }]);
  });

  test("that refuses in words is complete", () => {
    const response = toResponse({ refusal: "No", finish: "content_filter" });
    expect(response).toMatchObject({ status: "completed" });
    expect(response["output"]).toMatchObject([{ content: [{ type: "refusal", refusal: "No" }] }]);
  });

  test("carries the upstream's usage, and the prompt's estimate without it", () => {
    expect(toResponse({ text: "x", finish: "stop", usage: USAGE })["usage"]).toEqual({
      input_tokens: 20,
      input_tokens_details: { cached_tokens: 12, cache_write_tokens: 0 },
      output_tokens: 9,
      output_tokens_details: { reasoning_tokens: 4 },
      total_tokens: 29,
    });
    expect(toResponse({ text: "x", finish: "stop" })["usage"]).toMatchObject({ input_tokens: 7 });
  });

  test("carries log probabilities in deltas and at the end", () => {
    const token = { token: "Hi", bytes: [72, 105], logprob: -0.5 };
    const logprobs = { content: [{ ...token, top_logprobs: [token] }] };
    const chunk = toChunk({ content: "Hi" });
    const [choice] = chunk.choices;
    if (choice === undefined) throw new Error("No choice");
    const stream = toStream([{ ...chunk, choices: [{ ...choice, logprobs }] }]);
    const delta = readEvents(stream).find(({ type }) => type === "response.output_text.delta");
    expect(delta?.["logprobs"]).toEqual([{ ...token, top_logprobs: [token] }]);
    expect(lastOf(stream)["response"]).toMatchObject({
      output: [{ content: [{ text: "Hi", logprobs: [{ token: "Hi" }] }] }],
    });
  });
});
