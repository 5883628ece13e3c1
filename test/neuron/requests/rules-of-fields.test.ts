import { describe, expect, test } from "bun:test";
import { Type as t } from "@sinclair/typebox";
import { Ajv2020 } from "ajv/dist/2020.js";
import { CortexError } from "../../../src/base/errors.ts";
import { checkRequest, type RequestKind } from "../../../src/neuron/requests/request-bodies.ts";
import { rulesOf } from "../../../src/neuron/requests/rules-of-fields.ts";
import { ChatRequestSchema } from "../../../src/protocol/openai/chat-fields.ts";
import {
  CompletionRequestSchema,
  EmbeddingsRequestSchema,
  RerankRequestSchema,
  TokenizeRequestSchema,
} from "../../../src/protocol/openai/text-fields.ts";

const MESSAGES = [{ role: "user", content: "hi" }];

/** A kind of request with the least that it must have. */
const KINDS = [
  { kind: "chat", schema: ChatRequestSchema, least: { messages: MESSAGES } },
  { kind: "completion", schema: CompletionRequestSchema, least: { prompt: "a" } },
  { kind: "embeddings", schema: EmbeddingsRequestSchema, least: { input: "a" } },
  { kind: "rerank", schema: RerankRequestSchema, least: { query: "a", documents: ["b"] } },
  { kind: "tokenize", schema: TokenizeRequestSchema, least: { content: "a" } },
] as const satisfies readonly { kind: RequestKind; schema: object; least: object }[];

/** What clients may send in place of anything. */
const VALUES: readonly unknown[] = [
  ...[null, true, false, -3, -2, -1, 0, 0.5, 1, 1.5, 2, 8, 9, 20, 21, 101, 1_000_001, 2 ** 40],
  ...["", "x", "none", "auto", "required", "high", "deepseek", "float", "default", "priority"],
  ...["a".repeat(1_025), "root ::= [a-z]+"],
  ...[[], [""], ["a", "b"], Array(17).fill("a"), [1, 2], [-1], [1, "a"], [[1], "a"], [null]],
  ...[{}, { a: 1 }, { "1": 5 }, { "1": 101 }, { include_usage: true }, { include_usage: 1 }],
  ...[{ type: "text" }, { type: "json_object" }, { type: "xml" }, { text: "a" }, [{ text: "a" }]],
  ...[{ type: "json_schema", json_schema: { schema: { type: "object" } } }, { name: "f" }],
  ...[
    { type: "json_schema", json_schema: {} },
    { type: "function", function: { name: "f" } },
  ],
  [{ role: "user", content: "a" }],
  [{ role: "robot", content: "a" }],
  [{ role: "assistant" }],
  [{ role: "user", content: [{ type: "text", text: "a" }] }],
  [{ role: "user", content: [{ type: "video", text: "a" }] }],
  [{ role: "user", content: [{ type: "text", text: 1 }] }],
  [{ role: "assistant", content: null, tool_calls: [{ function: { name: "f" } }] }],
  [{ role: "assistant", content: null, tool_calls: [{ function: {} }] }],
  [{ type: "function", function: { name: "f" } }],
  [{ type: "function", function: { name: "no name" } }],
  [{ type: "web_search" }],
  [{ name: "f" }],
];

/** Fields whose worth depends on others of the request, with what they need. */
const COMPANY: Readonly<Record<string, object>> = {
  top_logprobs: { logprobs: true },
  tool_choice: { tools: [{ type: "function", function: { name: "f" } }] },
};

/** What a schema of ours does not say of a value that it takes. */
function isBeyondSchemas(name: string, value: unknown): boolean {
  // A client's JSON schema is checked for what a grammar can enforce; a function must be there, other tools need none.
  return name === "json_schema" || JSON.stringify(value) === '[{"type":"function"}]';
}

function isTaken(kind: RequestKind, body: Record<string, unknown>): boolean {
  try {
    checkRequest(body, {
      ...{ kind, model: "m", embeddingLength: 0 },
      capabilities: ["chat", "completion", "embeddings", "rerank"],
    });
    return true;
  } catch (error) {
    if (error instanceof CortexError && error.code === "invalid_request") return false;
    throw error;
  }
}

describe("a neuron's checks", () => {
  for (const { kind, schema, least } of KINDS) {
    test(`take of ${kind} what its schema takes, field by field`, () => {
      const differing: string[] = [];
      const isValid = new Ajv2020({ strict: false }).compile(schema);
      let taken = 0;
      for (const name of Object.keys(schema.properties)) {
        if (name === "model") continue;
        for (const value of VALUES) {
          const body = { model: "m", ...least, ...COMPANY[name], [name]: value };
          const [byRule, bySchema] = [isTaken(kind, body), isValid(body)];
          const what = `${kind}.${name} ${JSON.stringify(value)?.slice(0, 80)}`;
          if (byRule !== bySchema && !(bySchema && isBeyondSchemas(name, value))) {
            differing.push(`${what}: rule ${byRule}, schema ${bySchema}`);
          }
          if (byRule) taken += 1;
        }
      }
      expect(differing).toEqual([]);
      expect(taken).toBeGreaterThan(0);
    });
  }

  test("need a rule of their own for what is no simple schema", () => {
    expect(() => rulesOf({ list: t.Array(t.String()) })).toThrow("No rule for");
  });
});
