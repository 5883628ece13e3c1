import { describe, expect, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import { parseJsonObject } from "../../../src/neuron/requests/json-body.ts";
import { checkRequest, type RequestKind } from "../../../src/neuron/requests/request-bodies.ts";

const MESSAGES = [{ role: "user", content: "hi" }];

function check(
  fields: object,
  kind: RequestKind = "chat",
  capabilities: readonly string[] = ["chat", "completion", "vision"],
) {
  const body =
    kind === "chat" ? { model: "m", messages: MESSAGES, ...fields } : { model: "m", ...fields };
  const checked = checkRequest(parseJsonObject(JSON.stringify(body)), {
    kind,
    model: "m",
    embeddingLength: 64,
    capabilities,
  });
  return { ...checked, sent: JSON.parse(checked.body) as Record<string, unknown> };
}

function refusal(run: () => unknown): CortexError {
  try {
    run();
  } catch (error) {
    if (error instanceof CortexError) return error;
    throw error;
  }
  throw new Error("It was not refused");
}

const pattern = (value: string) => ({ type: "string", pattern: value });
const format = (schema: object) => ({
  response_format: { type: "json_schema", json_schema: { name: "x", schema } },
});
const tool = (parameters: object) => ({
  tools: [{ type: "function", function: { name: "f", parameters } }],
});

describe("a body is refused with the field, the value and the limit:", () => {
  const cases: readonly (readonly [object, string, readonly string[]])[] = [
    [{ temperature: 9 }, "temperature", ["9", "2"]],
    [{ temperature: "hot" }, "temperature", ["hot"]],
    [{ max_tokens: 0 }, "max_tokens", ["0", "1"]],
    [{ max_tokens: -5 }, "max_tokens", ["-5"]],
    [{ max_tokens: 1.5 }, "max_tokens", ["1.5"]],
    [{ n: 9 }, "n", ["9", "8"]],
    [{ stop: Array.from({ length: 17 }, () => "x") }, "stop", ["17", "16"]],
    [{ stop: 7 }, "stop", ["7"]],
    [{ stream: "yes" }, "stream", ["yes"]],
    [{ top_logprobs: 21 }, "top_logprobs", ["21", "20"]],
    [{ messages: "hi" }, "messages", ["hi"]],
    [{ messages: [] }, "messages", []],
    [{ messages: [{ role: "wizard", content: "x" }] }, "messages[0].role", ["wizard"]],
    [{ messages: [{ role: "user" }] }, "messages[0].content", []],
    [{ messages: [{ role: "user", content: 7 }] }, "messages[0].content", ["7"]],
    [{ tools: Array.from({ length: 513 }, () => ({})) }, "tools", ["513", "512"]],
    [{ top_logprobs: 2 }, "top_logprobs", ["logprobs"]],
    [{ logit_bias: { hello: 1 } }, "logit_bias", ["hello"]],
    [{ logit_bias: { "5": 101 } }, "logit_bias.5", ["101", "100"]],
    [{ logit_bias: [1] }, "logit_bias", ["[1]"]],
    [{ messages: [{ role: "user", content: "a\ud800b" }] }, "messages[0].content", ["surrogate"]],
    [{ stop: ["\udc00"] }, "stop[0]", ["surrogate"]],
    [
      { messages: [{ role: "user", content: [{ type: "file", file: {} }] }] },
      "messages[0].content[0]",
      ["file"],
    ],
    [{ tool_choice: "maybe" }, "tool_choice", ["maybe"]],
    [{ grammar: `root ::= ${"(".repeat(65)}` }, "grammar", ["65", "64"]],
    [{ grammar: 'root ::= "a"{2000}' }, "grammar", ["2000", "1000"]],
    [{ reasoning_effort: "huge" }, "reasoning_effort", ["huge"]],
    [format(pattern("^+a$")), "response_format.json_schema", ["^+a$"]],
    [format({ type: "string", maxLength: 9_999 }), "response_format.json_schema", ["9999"]],
    [
      format({ type: "array", minItems: 5, maxItems: 2 }),
      "response_format.json_schema",
      ["5", "2"],
    ],
    [format({ type: "array", minItems: -5 }), "response_format.json_schema", ["-5"]],
    [format({ type: "integer", minimum: 1e300 }), "response_format.json_schema", ["1e+300"]],
    [
      format({ type: "integer", minimum: 9, maximum: 1 }),
      "response_format.json_schema",
      ["9", "1"],
    ],
    [
      format({ type: "integer", exclusiveMinimum: 3, exclusiveMaximum: 4 }),
      "response_format.json_schema",
      ["no integer"],
    ],
    [
      format({ enum: Array.from({ length: 1_001 }, (_, index) => index) }),
      "response_format.json_schema",
      ["1001", "1000"],
    ],
    [
      format({
        allOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/b" }],
        $defs: { a: { allOf: [{ $ref: "#/$defs/b" }] }, b: { type: "object" } },
      }),
      "response_format.json_schema",
      ["allOf"],
    ],
    [format({ $ref: "https://example.com/x" }), "response_format.json_schema", ["example.com"]],
  ];
  for (const [fields, param, words] of cases) {
    test(JSON.stringify(fields).slice(0, 70), () => {
      const error = refusal(() => check(fields));
      expect(error.code).toBe("invalid_request");
      expect(error.param).toBe(param);
      for (const word of words) expect(error.message).toContain(word);
    });
  }
});

describe("an image", () => {
  const image = (url: string) => ({
    messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }],
  });

  test("for a model without a projector is refused, and its count as well", () => {
    for (const kind of ["chat", "count_tokens"] as const) {
      const body = { messages: image("data:image/png;base64,AAAA").messages };
      const error = refusal(() => check(body, kind, ["chat"]));
      expect(error.message).toContain("Model 'm' does not take images");
    }
  });

  for (const url of ["https://example.com/x.png", "file:///etc/passwd", "/etc/passwd"]) {
    test(`at ${url} is refused: the engine would fetch it`, () => {
      expect(refusal(() => check(image(url))).message).toContain("data: URL");
    });
  }
});

test("a body that is nested too deep is refused before anything recurses into it", () => {
  const deep = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;
  expect(refusal(() => parseJsonObject(`{"x":${deep}}`)).message).toContain("deep");
});

test("fields that steer the engine's parser, files or slots are dropped", () => {
  const { sent } = check({
    ...{ chat_template: "{{ x }}", chat_parser: "x", id_slot: 3, lora: [], response_fields: ["x"] },
    ...{ __proto__: { n: 2 }, constructor: 1, user: "me", store: true },
  });
  expect(Object.keys(sent).toSorted()).toEqual(["messages", "model"]);
});

test("null is the same as absent", () => {
  expect(check({ stop: null, temperature: null, tools: null }).sent).toEqual({
    model: "m",
    messages: MESSAGES,
  });
});

test("max_completion_tokens becomes max_tokens, and more than the engine can count is no error", () => {
  expect(check({ max_completion_tokens: 7, max_tokens: 9 }).sent["max_tokens"]).toBe(7);
  expect(check({ max_tokens: 1e12 }).sent["max_tokens"]).toBe(2_147_483_647);
});

test("a tool keeps its schema but for what cannot be enforced", () => {
  const { sent } = check(
    tool({
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      properties: {
        pattern: { type: "string", format: "uri", pattern: "(?=x)", maxLength: 100_000 },
        day: pattern("^\\d{2}$"),
      },
    }),
  );
  expect(sent["tools"]).toEqual([
    {
      type: "function",
      function: {
        name: "f",
        parameters: {
          $schema: "http://json-schema.org/draft-07/schema#",
          type: "object",
          properties: { pattern: { type: "string", format: "uri" }, day: pattern("^\\d{2}$") },
        },
      },
    },
  ]);
});

test("a tool's bounds that no answer can keep are left out", () => {
  const { sent } = check(
    tool({
      type: "object",
      properties: { list: { type: "array", minItems: 5, maxItems: 2, items: { maxLength: 3 } } },
    }),
  );
  expect(sent["tools"]).toMatchObject([
    { function: { parameters: { properties: { list: { items: { maxLength: 3 } } } } } },
  ]);
  expect(JSON.stringify(sent)).not.toContain("minItems");
});

test("a property named pattern is no pattern", () => {
  const schema = { type: "object", properties: { pattern: { type: "string" } } };
  expect(check(format(schema)).sent["response_format"]).toMatchObject({ json_schema: { schema } });
});

describe("a message", () => {
  const sent = (...messages: object[]) => check({ messages }).sent["messages"];

  test("of the assistant or of a tool may say nothing", () => {
    const calls = [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }];
    expect(
      sent(
        { role: "assistant", content: null, tool_calls: calls },
        { role: "tool", tool_call_id: "c", content: null },
        { role: "assistant", tool_calls: null },
        { role: "assistant", content: [] },
        { role: "assistant", content: null, refusal: "No." },
      ),
    ).toEqual([
      { role: "assistant", content: "", tool_calls: calls },
      { role: "tool", content: "", tool_call_id: "c" },
      { role: "assistant", content: "" },
      { role: "assistant", content: [] },
      { role: "assistant", content: "No." },
    ]);
  });

  test("keeps its name and its reasoning, and loses what is of a wrong type", () => {
    expect(
      sent(
        { role: "user", name: "anna", content: "x", cache_control: {} },
        { role: "assistant", content: "y", name: null, reasoning_content: "z", audio: null },
      ),
    ).toEqual([
      { role: "user", content: "x", name: "anna" },
      { role: "assistant", content: "y", reasoning_content: "z" },
    ]);
  });

  test("has its refusals as text", () => {
    expect(sent({ role: "assistant", content: [{ type: "refusal", refusal: "No." }] })).toEqual([
      { role: "assistant", content: [{ type: "text", text: "No." }] },
    ]);
  });

  test("of the system loses the billing header that changes at each start, and no other does", () => {
    const header = "x-anthropic-billing-header: cc_version=2.1; cch=abc;";
    const part = (text: string) => ({ type: "text", text });
    const user = { role: "user", content: header };
    expect(
      sent(
        { role: "system", content: [part(header), part("You are useful")] },
        { role: "system", content: `${header}\n\nYou are useful` },
        { role: "system", content: header },
        { role: "system", content: `Not at the start: ${header}` },
        user,
      ),
    ).toEqual([
      { role: "system", content: [part("You are useful")] },
      { role: "system", content: "You are useful" },
      { role: "system", content: "" },
      { role: "system", content: `Not at the start: ${header}` },
      user,
    ]);
  });
});

test("text that only looks like half a surrogate pair is text", () => {
  for (const content of ["\\ud800", "\ud83d\ude00", "\\\\udata"]) {
    expect(check({ messages: [{ role: "user", content }] }).sent["messages"]).toEqual([
      { role: "user", content },
    ]);
  }
});

test("any whole number is a seed, and -1 is none", () => {
  const seedOf = (seed: number) => check({ seed }).sent["seed"] as number | undefined;
  expect(seedOf(7)).toBe(7);
  expect(seedOf(-1)).toBeUndefined();
  for (const seed of [-7, 2 ** 32 - 1, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    expect(seedOf(seed)).toBeGreaterThanOrEqual(0);
    expect(seedOf(seed)).toBeLessThan(2 ** 32 - 16);
  }
});

test("a text completion refuses what would change its text, and lets go what asks for nothing", () => {
  const fields = { prompt: "x", echo: false, best_of: 1 };
  expect(check(fields, "completion").sent).toEqual({ model: "m", prompt: "x" });
  for (const field of [{ echo: true }, { suffix: 7 }, { best_of: 2 }]) {
    const error = refusal(() => check({ prompt: "x", ...field }, "completion"));
    expect(error.param).toBe(Object.keys(field)[0]);
  }
});

describe("other kinds of request", () => {
  test("take text, tokens, or several of them", () => {
    for (const input of ["x", ["x", "y"], [1, 2], [[1], [2]]]) {
      expect(check({ input }, "embeddings").sent["input"]).toEqual(input);
    }
    expect(refusal(() => check({ input: [] }, "embeddings")).param).toBe("input");
    expect(refusal(() => check({ input: [-1] }, "embeddings")).param).toBe("input[0]");
  });

  test("refuse vectors of a length that the model does not make", () => {
    expect(check({ input: "x", dimensions: 64 }, "embeddings").sent).not.toHaveProperty(
      "dimensions",
    );
    expect(refusal(() => check({ input: "x", dimensions: 8 }, "embeddings")).message).toContain(
      "64",
    );
  });

  test("take documents as text or as objects with text", () => {
    const { sent } = check({ query: "q", documents: ["a", { text: "b" }] }, "rerank");
    expect(sent["documents"]).toEqual(["a", "b"]);
  });
});
