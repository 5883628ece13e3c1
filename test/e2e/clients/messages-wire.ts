import { checkMessagesRequest } from "./messages-request-rules.ts";
import { type Answer, type JsonObject, listOf, objectOf, SCRIPTED_USAGE } from "./script.ts";
import { piecesOf, sse, type Wire } from "./wire.ts";

const USAGE = {
  input_tokens: SCRIPTED_USAGE.input - SCRIPTED_USAGE.cached,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: SCRIPTED_USAGE.cached,
  output_tokens: SCRIPTED_USAGE.output,
};

/** Anthropic messages as Anthropic serves them. */
export const MESSAGES_WIRE: Wire = {
  path: "/v1/messages",
  callPrefix: "toolu_",

  readTools: (body) =>
    listOf(body["tools"]).map((tool) => {
      const { name, input_schema } = objectOf(tool);
      return { name: String(name), schema: objectOf(input_schema) };
    }),

  check: checkMessagesRequest,

  writeStream: (answer, body) => {
    const message = { ...messageOf(answer, body), content: [], stop_reason: null };
    const usage = { ...USAGE, output_tokens: 1 };
    return [
      sse({ type: "message_start", message: { ...message, usage } }, "message_start"),
      ...contentOf(answer).flatMap(blockEvents),
      sse({ type: "ping" }, "ping"),
      sse(
        {
          type: "message_delta",
          delta: { stop_reason: stopOf(answer), stop_sequence: null },
          usage: USAGE,
        },
        "message_delta",
      ),
      sse({ type: "message_stop" }, "message_stop"),
    ];
  },

  writeWhole: messageOf,

  writeRefusal: (reason) =>
    reason === "overloaded"
      ? { status: 529, body: errorBody("overloaded_error", "Overloaded") }
      : { status: 400, body: errorBody("invalid_request_error", OVERFLOW) },

  writeErrorEvent: () => sse(errorBody("overloaded_error", "Overloaded"), "error"),

  writeModels: (ids) => ({
    data: ids.map((id) => ({
      type: "model",
      id,
      display_name: id,
      created_at: "2026-01-01T00:00:00Z",
    })),
    has_more: false,
    first_id: ids[0] ?? null,
    last_id: ids.at(-1) ?? null,
  }),
};

const OVERFLOW = "prompt is too long: 200001 tokens > 200000 maximum";

function errorBody(type: string, message: string): JsonObject {
  return { type: "error", error: { type, message }, request_id: "req_scripted" };
}

function messageOf(answer: Answer, body: JsonObject): JsonObject {
  return {
    id: "msg_scripted",
    type: "message",
    role: "assistant",
    model: body["model"],
    content: contentOf(answer),
    stop_reason: stopOf(answer),
    stop_sequence: null,
    usage: USAGE,
  };
}

function contentOf(answer: Answer): readonly JsonObject[] {
  const { thinking, text, calls } = answer;
  return [
    ...(thinking === undefined
      ? []
      : [{ type: "thinking", thinking: thinking.text, signature: thinking.signature }]),
    ...(text === undefined ? [] : [{ type: "text", text }]),
    ...calls.map((call) => ({
      type: "tool_use",
      id: call.id,
      name: call.name,
      input: JSON.parse(call.arguments),
    })),
  ];
}

function stopOf(answer: Answer): string {
  return answer.calls.length === 0 ? "end_turn" : "tool_use";
}

/** Start, deltas and stop of one block, with its content taken out of the start as Anthropic does. */
function blockEvents(block: JsonObject, index: number): string[] {
  const event = (type: string, fields: JsonObject) => sse({ type, index, ...fields }, type);
  const delta = (fields: JsonObject) => event("content_block_delta", { delta: fields });
  const start = (fields: JsonObject) =>
    event("content_block_start", { content_block: { ...block, ...fields } });
  const stop = event("content_block_stop", {});
  if (block["type"] === "thinking") {
    return [
      start({ thinking: "", signature: "" }),
      ...piecesOf(String(block["thinking"])).map((thinking) =>
        delta({ type: "thinking_delta", thinking }),
      ),
      delta({ type: "signature_delta", signature: block["signature"] }),
      stop,
    ];
  }
  if (block["type"] === "text") {
    const texts = piecesOf(String(block["text"]));
    return [start({ text: "" }), ...texts.map((text) => delta({ type: "text_delta", text })), stop];
  }
  return [
    start({ input: {} }),
    ...["", ...piecesOf(JSON.stringify(block["input"]))].map((partial_json) =>
      delta({ type: "input_json_delta", partial_json }),
    ),
    stop,
  ];
}
