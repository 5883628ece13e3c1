import { checkChatRequest } from "./chat-request-rules.ts";
import { type Answer, type JsonObject, listOf, objectOf, SCRIPTED_USAGE } from "./script.ts";
import { piecesOf, sse, type Wire } from "./wire.ts";

const USAGE = {
  prompt_tokens: SCRIPTED_USAGE.input,
  completion_tokens: SCRIPTED_USAGE.output,
  total_tokens: SCRIPTED_USAGE.input + SCRIPTED_USAGE.output,
  prompt_tokens_details: { cached_tokens: SCRIPTED_USAGE.cached, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
};

/** OpenAI chat completions as OpenAI serves them; thoughts go where open models put them. */
export const CHAT_WIRE: Wire = {
  path: "/v1/chat/completions",
  callPrefix: "call_",

  readTools: (body) =>
    listOf(body["tools"]).map((tool) => {
      const declared = objectOf(objectOf(tool)["function"]);
      return { name: String(declared["name"]), schema: objectOf(declared["parameters"]) };
    }),

  check: checkChatRequest,

  writeStream: (answer, body) => {
    const head = {
      id: "chatcmpl-scripted",
      object: "chat.completion.chunk",
      created: 1_800_000_000,
      model: body["model"],
    };
    const chunk = (delta: JsonObject, finish: string | null = null) =>
      sse({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
    const wantsUsage = objectOf(body["stream_options"])["include_usage"] === true;
    return [
      chunk({ role: "assistant", content: "", refusal: null }),
      ...piecesOf(answer.thinking?.text ?? "").map((text) => chunk({ reasoning_content: text })),
      ...piecesOf(answer.text ?? "").map((text) => chunk({ content: text })),
      ...answer.calls.flatMap((call, index) => [
        chunk({
          tool_calls: [
            { index, id: call.id, type: "function", function: { name: call.name, arguments: "" } },
          ],
        }),
        ...piecesOf(call.arguments).map((text) =>
          chunk({ tool_calls: [{ index, function: { arguments: text } }] }),
        ),
      ]),
      chunk({}, finishOf(answer)),
      ...(wantsUsage ? [sse({ ...head, choices: [], usage: USAGE })] : []),
      sse("[DONE]"),
    ];
  },

  writeWhole: (answer, body) => ({
    id: "chatcmpl-scripted",
    object: "chat.completion",
    created: 1_800_000_000,
    model: body["model"],
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: answer.text ?? null,
          refusal: null,
          ...(answer.calls.length === 0 ? {} : { tool_calls: answer.calls.map(toChatCall) }),
        },
        logprobs: null,
        finish_reason: finishOf(answer),
      },
    ],
    usage: USAGE,
  }),

  writeRefusal: (reason) =>
    reason === "overloaded"
      ? { status: 503, body: errorBody("The server is overloaded", "server_overloaded") }
      : { status: 400, body: errorBody(OVERFLOW, "context_length_exceeded") },

  writeErrorEvent: () => sse(errorBody("The server is overloaded", "server_overloaded")),

  writeModels: (ids) => ({
    object: "list",
    data: ids.map((id) => ({ id, object: "model", created: 1_800_000_000, owned_by: "script" })),
  }),
};

const OVERFLOW =
  "This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens. " +
  "Please reduce the length of the messages.";

function errorBody(message: string, code: string): JsonObject {
  const type = code === "context_length_exceeded" ? "invalid_request_error" : "server_error";
  return { error: { message, type, param: null, code } };
}

function finishOf(answer: Answer): string {
  return answer.calls.length === 0 ? "stop" : "tool_calls";
}

function toChatCall(call: Answer["calls"][number]): JsonObject {
  return {
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: call.arguments },
  };
}
