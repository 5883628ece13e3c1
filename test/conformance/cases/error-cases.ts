import { DIALECTS, expectRefusal } from "../ask.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { chatDialect } from "../dialects/chat-dialect.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { messagesDialect } from "../dialects/messages-dialect.ts";
import { readOpenaiError } from "../dialects/openai-error.ts";
import { responsesDialect } from "../dialects/responses-dialect.ts";
import {
  expectEqual,
  expectJson,
  expectObject,
  expectOneOf,
  expectThat,
  show,
} from "../expectations.ts";
import type { Target } from "../target.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/** Deeper than any schema or message, and deep enough to end a parser that recurses. */
const DEPTH = 50_000;
/** The key under which each dialect keeps its turns. */
const TURNS_KEY = { chat: "messages", messages: "messages", responses: "input" } as const;

interface Fault {
  readonly name: string;
  readonly statuses: readonly number[];
  /** Of these dialects, by default of all. */
  readonly dialects?: readonly Dialect[];
  /** The whole body, or text that is none. */
  readonly body: (good: JsonObject, dialect: Dialect) => unknown;
}

const image = (url: string, dialect: Dialect): unknown => {
  if (dialect === responsesDialect) return { type: "input_image", image_url: url };
  if (dialect === chatDialect) return { type: "image_url", image_url: { url } };
  const [, media_type, data] = /^data:([^;]*);base64,(.*)$/.exec(url) ?? [];
  return { type: "image", source: { type: "base64", media_type, data } };
};

const FAULTS: readonly Fault[] = [
  { name: "a body that is no JSON", statuses: [400], body: () => '{"model": ' },
  { name: "an empty body", statuses: [400], body: () => "" },
  { name: "a body that is no object", statuses: [400], body: () => [1] },
  {
    name: "a model that does not exist",
    statuses: [404],
    body: (good) => ({ ...good, model: "no-such-model" }),
  },
  { name: "no model", statuses: [400], body: ({ model, ...rest }) => rest },
  { name: "a model that is no string", statuses: [400], body: (good) => ({ ...good, model: 7 }) },
  {
    name: "turns that are no list",
    statuses: [400],
    body: (good, dialect) => ({ ...good, [TURNS_KEY[dialect.name]]: { role: "user" } }),
  },
  {
    name: "no turns",
    statuses: [400],
    body: (good, dialect) => ({ ...good, [TURNS_KEY[dialect.name]]: [] }),
  },
  {
    name: "an unknown role",
    statuses: [400],
    body: (good, dialect) => ({
      ...good,
      [TURNS_KEY[dialect.name]]: [{ role: "wizard", content: "Hello." }],
    }),
  },
  {
    name: "content that is a number",
    statuses: [400],
    body: (good, dialect) => ({
      ...good,
      [TURNS_KEY[dialect.name]]: [{ role: "user", content: 7 }],
    }),
  },
  {
    name: "an image that is no base64",
    statuses: [400],
    body: (good, dialect) => ({
      ...good,
      [TURNS_KEY[dialect.name]]: [
        { role: "user", content: [image("data:image/png;base64,%%%not base64%%%", dialect)] },
      ],
    }),
  },
  {
    name: "a limit of tokens that is a text",
    statuses: [400],
    body: (good, dialect) => ({
      ...good,
      [dialect === responsesDialect ? "max_output_tokens" : "max_tokens"]: "many",
    }),
  },
  {
    name: "a temperature that is a text",
    statuses: [400],
    body: (good) => ({ ...good, temperature: "hot" }),
  },
  {
    name: "a demanded tool that is not among the tools",
    statuses: [400],
    body: (_good, dialect) => (model: string) =>
      dialect.write(
        {
          user: "Hello.",
          maxTokens: 4,
          tools: [{ name: "a", description: "A.", schema: { type: "object", properties: {} } }],
          toolChoice: { name: "b" },
        },
        model,
      ),
  },
  {
    name: "a tool result that belongs to no call",
    statuses: [400],
    dialects: [messagesDialect],
    body: (good) => ({
      ...good,
      messages: [{ role: "user", content: [{ type: "tool_result" }] }],
    }),
  },
  {
    name: "a schema nested too deep",
    statuses: [400],
    body: (good, dialect) => deepSchema(good, dialect),
  },
];

/** Clients' faults: told as such, in the caller's dialect, before a stream begins. */
export const ERROR_CASES: readonly ConformanceCase[] = [
  ...FAULTS.flatMap((fault) =>
    (fault.dialects ?? DIALECTS).map(
      (dialect): ConformanceCase => ({
        name: `${fault.name}: ${fault.statuses.join(" or ")}, in the dialect's envelope`,
        topic: "errors",
        dialect: dialect.name,
        run: (target) => expectFault(target, dialect, fault),
      }),
    ),
  ),
  ...DIALECTS.flatMap((dialect): ConformanceCase[] => [
    {
      name: "an unknown model of a stream is an error of plain HTTP",
      topic: "errors",
      dialect: dialect.name,
      async run(target) {
        const body = {
          ...dialect.write({ user: "Hello.", maxTokens: 4 }, "no-such-model"),
          stream: true,
        };
        const error = await expectRefusal(target, dialect, { body, statuses: [404] });
        if (dialect === messagesDialect) expectEqual(error.type, "not_found_error", "Type");
        else expectEqual(error.code, "model_not_found", "Code");
      },
    },
    {
      name: "half a surrogate pair is answered or refused, never an error of the server",
      topic: "errors",
      dialect: dialect.name,
      async run(target) {
        const good = dialect.write({ user: "HALF", maxTokens: 2 }, target.model);
        const body = JSON.stringify(good).replace("HALF", "a \\ud83d b \\udc00");
        const answer = await target.send(dialect.path, body, { headers: dialect.headers });
        expectOneOf(answer.status, [200, 400], `Status with ${show(answer.text)}`);
        if (answer.status === 400) dialect.readError(answer);
      },
    },
    {
      name: "brackets nested 50,000 deep are let go or refused, never an error of the server",
      topic: "errors",
      dialect: dialect.name,
      async run(target) {
        const good = dialect.write({ user: "Hello.", maxTokens: 2 }, target.model);
        const deep = `,"deep":${"[".repeat(DEPTH)}${"]".repeat(DEPTH)}}`;
        const body = JSON.stringify(good).replace(/\}$/, deep);
        const answer = await target.send(dialect.path, body, { headers: dialect.headers });
        expectOneOf(answer.status, [200, 400], `Status with ${show(answer.text)}`);
        if (answer.status === 400) dialect.readError(answer);
      },
    },
    {
      name: "bytes that are no UTF-8 are refused",
      topic: "errors",
      dialect: dialect.name,
      async run(target) {
        const good = dialect.write({ user: "HALF", maxTokens: 2 }, target.model);
        const body = Buffer.from(JSON.stringify(good).replace("HALF", "a\u00ff"), "latin1");
        await expectRefusal(target, dialect, { body, statuses: [400] });
      },
    },
    {
      name: "an image for a model that sees none is refused, and says so",
      topic: "errors",
      dialect: dialect.name,
      async run(target) {
        const good = dialect.write({ user: "Hello.", maxTokens: 4 }, target.model);
        const content = [image(`data:image/png;base64,${PIXEL}`, dialect)];
        const body = { ...good, [TURNS_KEY[dialect.name]]: [{ role: "user", content }] };
        const answer = await target.send(dialect.path, body, { headers: dialect.headers });
        // A model that sees images answers.
        if (answer.status === 200) return;
        expectEqual(answer.status, 400, `Status with ${show(answer.text)}`);
        const { message } = dialect.readError(answer);
        expectThat(/image|vision|multimodal/i.test(message), `The message is ${show(message)}`);
      },
    },
  ]),
  ...[chatDialect, responsesDialect].map(
    (dialect): ConformanceCase => ({
      name: "an error has param and code, each a text or null",
      topic: "errors",
      dialect: dialect.name,
      async run(target) {
        const answer = await target.send(dialect.path, { model: "no-such-model" });
        const body = expectObject(expectJson(answer.text, "The body"), "The body");
        const error = expectObject(body["error"], "error");
        for (const key of ["param", "code"]) {
          const value = error[key];
          const isRight = value === null || typeof value === "string";
          expectThat(isRight, `${key} is ${show(value)} in ${show(error)}`);
        }
      },
    }),
  ),
  {
    name: "embeddings of a model that makes none are refused, and say so",
    topic: "errors",
    dialect: "http",
    async run(target) {
      const answer = await target.send("/v1/embeddings", { model: target.model, input: "Hello." });
      if (answer.status === 200) return;
      expectOneOf(answer.status, [400, 501], `Status with ${show(answer.text)}`);
      const { message } = readOpenaiError(answer);
      expectThat(/embedding/i.test(message), `The message is ${show(message)}`);
    },
  },
  {
    name: "a response that was never kept cannot be followed",
    topic: "errors",
    dialect: "responses",
    async run(target) {
      const body = {
        ...responsesDialect.write({ user: "Hello.", maxTokens: 4 }, target.model),
        previous_response_id: "resp_0123456789abcdef",
      };
      await expectRefusal(target, responsesDialect, { body, statuses: [400, 404] });
    },
  },
];

/** One white pixel. */
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==";

async function expectFault(target: Target, dialect: Dialect, fault: Fault): Promise<void> {
  const good = dialect.write({ user: "Hello.", maxTokens: 4 }, target.model);
  const made = fault.body(good, dialect);
  const body = typeof made === "function" ? made(target.model) : made;
  const { statuses } = fault;
  const error = await expectRefusal(target, dialect, { body, statuses });
  const type = statuses.includes(404) ? "not_found_error" : "invalid_request_error";
  if (dialect === messagesDialect) expectEqual(error.type, type, "Type of the error");
  else if (statuses.includes(404)) expectEqual(error.code, "model_not_found", "Code of the error");
  else expectEqual(error.type, "invalid_request_error", "Type of the error");
}

/** Text, because no JSON.stringify goes that deep. */
function deepSchema(good: JsonObject, dialect: Dialect): string {
  const depth = DEPTH / 10;
  const open = '{"type":"array","items":';
  const schema = `${open.repeat(depth)}{"type":"null"}${"}".repeat(depth)}`;
  const placed = {
    chat: `"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":${schema}}}`,
    messages: `"output_config":{"format":{"type":"json_schema","schema":${schema}}}`,
    responses: `"text":{"format":{"type":"json_schema","name":"a","schema":${schema}}}`,
  }[dialect.name];
  return JSON.stringify(good).replace(/\}$/, `,${placed}}`);
}
