import { describe, expect, test } from "bun:test";
import { CortexError, type ErrorCode } from "../../../src/base/errors.ts";
import {
  clientStatusOf,
  formatClientErrorEvent,
  toClientErrorBody,
} from "../../../src/translate/errors/client-errors.ts";
import {
  readUpstreamErrorEvent,
  readUpstreamFailure,
} from "../../../src/translate/errors/upstream-errors.ts";

const requestId = "req_1";

describe("an error in Anthropic's dialect", () => {
  const rows: readonly (readonly [ErrorCode, number, string])[] = [
    ["invalid_request", 400, "invalid_request_error"],
    ["unauthorized", 401, "authentication_error"],
    ["forbidden", 403, "permission_error"],
    ["model_not_found", 404, "not_found_error"],
    ["route_not_found", 404, "not_found_error"],
    ["method_not_allowed", 405, "invalid_request_error"],
    ["body_too_large", 413, "request_too_large"],
    ["queue_full", 429, "rate_limit_error"],
    ["internal", 500, "api_error"],
    ["neuron_failed", 502, "api_error"],
    ["unavailable", 529, "overloaded_error"],
    ["model_not_loaded", 529, "overloaded_error"],
    ["load_failed", 529, "overloaded_error"],
    ["timeout", 504, "timeout_error"],
    ["does_not_fit", 507, "api_error"],
  ];
  for (const [code, status, type] of rows) {
    test(`${code} is ${status} ${type}`, () => {
      const error = new CortexError(code, "Why");
      expect(clientStatusOf(error, "messages")).toBe(status);
      expect(toClientErrorBody(error, { dialect: "messages", requestId })).toEqual({
        type: "error",
        error: { type, message: "Why" },
        request_id: requestId,
      });
    });
  }

  test("an overflow is told in the words that clients look for", () => {
    const figures = { prompt_tokens: 9000, context_tokens: 8192 };
    const error = new CortexError("context_length_exceeded", "Too long", { figures });
    const body = toClientErrorBody(error, { dialect: "messages", requestId });
    const message = "prompt is too long: 9000 tokens > 8192 maximum";
    expect(body["error"]).toEqual({ type: "invalid_request_error", message });
    const bare = new CortexError("context_length_exceeded", "Too long");
    expect(toClientErrorBody(bare, { dialect: "messages", requestId })).toMatchObject({
      error: { message: "prompt is too long: Too long" },
    });
  });
});

test("an overflow keeps its code in the other dialects", () => {
  const error = new CortexError("context_length_exceeded", "Too long", { param: "messages" });
  for (const dialect of ["chat", "responses"] as const) {
    expect(clientStatusOf(error, dialect)).toBe(400);
    expect(toClientErrorBody(error, { dialect, requestId })).toMatchObject({
      error: { code: "context_length_exceeded", param: "messages" },
    });
  }
  expect(clientStatusOf(new CortexError("unavailable", "Busy"), "chat")).toBe(503);
});

test("a stream's error is the event of its dialect", () => {
  const error = new CortexError("timeout", "Late");
  const event = (dialect: "chat" | "messages" | "responses") =>
    formatClientErrorEvent(error, { dialect, requestId });
  expect(event("chat")).toBe(
    'data: {"error":{"message":"Late","type":"server_error","param":null,"code":"timeout","source":"cortex"}}\n\n',
  );
  expect(event("messages")).toBe(
    'event: error\ndata: {"type":"error","error":{"type":"timeout_error","message":"Late"},"request_id":"req_1"}\n\n',
  );
  expect(event("responses")).toBe(
    'event: error\ndata: {"type":"error","code":"timeout","message":"Late","param":null,"sequence_number":0}\n\n',
  );
});

describe("an upstream's answer is read:", () => {
  const openAi = (fields: object) => JSON.stringify({ error: fields });
  const rows: readonly (readonly [string, number, string, Partial<CortexError>])[] = [
    [
      "OpenAI's envelope",
      400,
      openAi({ message: "Bad", type: "invalid_request_error", param: "n", code: null }),
      { code: "invalid_request", message: "Bad", param: "n" },
    ],
    [
      "OpenAI's overflow",
      400,
      openAi({
        message:
          "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        code: "context_length_exceeded",
      }),
      { code: "context_length_exceeded", figures: { prompt_tokens: 9000, context_tokens: 8192 } },
    ],
    [
      "vLLM's overflow",
      400,
      JSON.stringify({
        object: "error",
        message:
          "This model's maximum context length is 100 tokens. However, you requested 120 tokens",
        type: "BadRequestError",
        code: 400,
      }),
      { code: "context_length_exceeded", figures: { prompt_tokens: 120, context_tokens: 100 } },
    ],
    [
      "llama.cpp's overflow",
      400,
      openAi({
        code: 400,
        message: "request (9 tokens) exceeds the available context size (8 tokens)",
        type: "exceed_context_size_error",
        n_prompt_tokens: 9,
        n_ctx: 8,
      }),
      { code: "context_length_exceeded", figures: { prompt_tokens: 9, context_tokens: 8 } },
    ],
    [
      "a neuron's overflow",
      400,
      openAi({
        message: "Too long",
        type: "x",
        code: "context_length_exceeded",
        figures: { prompt_tokens: 3, context_tokens: 2 },
      }),
      { code: "context_length_exceeded", figures: { prompt_tokens: 3, context_tokens: 2 } },
    ],
    [
      "Anthropic's overflow",
      400,
      JSON.stringify({
        type: "error",
        error: {
          type: "invalid_request_error",
          message: "prompt is too long: 205000 tokens > 200000 maximum",
        },
      }),
      {
        code: "context_length_exceeded",
        figures: { prompt_tokens: 205000, context_tokens: 200000 },
      },
    ],
    [
      "Anthropic's overload",
      529,
      JSON.stringify({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }),
      { code: "unavailable", message: "Overloaded" },
    ],
    [
      "a neuron's own code",
      503,
      openAi({ message: "Poisoned", type: "server_error", code: "model_poisoned" }),
      { code: "model_poisoned" },
    ],
    [
      "a refused key",
      401,
      openAi({ message: "Incorrect API key", code: "invalid_api_key" }),
      { code: "neuron_failed", message: "Incorrect API key" },
    ],
    [
      "a model that is not there",
      404,
      openAi({ message: "No such model", code: "model_not_found" }),
      { code: "model_not_found" },
    ],
    [
      "a body that is too large",
      413,
      "",
      { code: "body_too_large", message: "Upstream answered with status 413" },
    ],
    [
      "FastAPI's list of faults",
      422,
      JSON.stringify({ detail: [{ loc: ["body", "n"], msg: "too large" }] }),
      { code: "invalid_request", message: "body.n: too large" },
    ],
    [
      "FastAPI's text",
      404,
      JSON.stringify({ detail: "Not Found" }),
      { code: "model_not_found", message: "Not Found" },
    ],
    [
      "an error that is a text",
      500,
      JSON.stringify({ error: "boom" }),
      { code: "neuron_failed", message: "boom" },
    ],
    [
      "a proxy's page",
      502,
      "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
      { code: "neuron_failed", message: "Upstream answered with status 502: 502 Bad Gateway" },
    ],
    [
      "plain text",
      500,
      "Internal Server Error",
      {
        code: "neuron_failed",
        message: "Upstream answered with status 500: Internal Server Error",
      },
    ],
    [
      "an empty envelope",
      504,
      '{"error":{}}',
      { code: "timeout", message: "Upstream failed with status 504" },
    ],
    ["JSON of no envelope", 500, "[1]", { code: "neuron_failed" }],
  ];
  for (const [name, status, body, expected] of rows) {
    test(name, () => {
      const { code, message, param, figures } = readUpstreamFailure({ status, body });
      expect({ code, message, param, figures }).toMatchObject(expected);
    });
  }

  test("its wait is kept where it is one", () => {
    const after = (retryAfter: string) =>
      readUpstreamFailure({ status: 429, body: "", retryAfter });
    expect(after("7")).toMatchObject({ code: "queue_full", retryAfterSeconds: 7 });
    expect(after("0.5").retryAfterSeconds).toBe(0.5);
    expect(after("999999999").retryAfterSeconds).toBe(86_400);
    expect(after("Wed, 21 Oct 2026 07:28:00 GMT").retryAfterSeconds).toBeUndefined();
    expect(after("-1").retryAfterSeconds).toBeUndefined();
  });
});

describe("an error event is read:", () => {
  const rows: readonly (readonly [string, unknown, Partial<CortexError>])[] = [
    [
      "Anthropic's",
      { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
      { code: "unavailable", message: "Overloaded" },
    ],
    [
      "Anthropic's of an unknown type",
      { type: "error", error: { type: "new_error", message: "?" } },
      { code: "neuron_failed" },
    ],
    [
      "OpenAI's",
      { error: { message: "Slow down", type: "rate_limit_error", code: "rate_limit_exceeded" } },
      { code: "queue_full" },
    ],
    ["a status for a code", { error: { message: "Late", code: 504 } }, { code: "timeout" }],
    [
      "a neuron's",
      { error: { message: "Gone", code: "model_poisoned", figures: { a: 1 } } },
      { code: "model_poisoned", figures: { a: 1 } },
    ],
    ["one that says nothing", {}, { code: "neuron_failed" }],
  ];
  for (const [name, data, expected] of rows) {
    test(name, () => {
      const { code, message, figures } = readUpstreamErrorEvent(data);
      expect({ code, message, figures }).toMatchObject(expected);
    });
  }
});
