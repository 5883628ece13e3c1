import { type Answer, type JsonObject, listOf, objectOf, SCRIPTED_USAGE } from "./script.ts";
import { sse, type Wire } from "./wire.ts";

/** OpenAI Responses, as far as Codex needs it to be run without a gateway in between. */
export const RESPONSES_WIRE: Wire = {
  path: "/v1/responses",
  callPrefix: "call_",

  readTools: (body) =>
    listOf(body["tools"]).map((tool) => {
      const { name, parameters } = objectOf(tool);
      return { name: String(name), schema: objectOf(parameters) };
    }),

  // No upstream of the gateway gets this dialect, so nobody has to be checked here.
  check: () => [],

  writeStream: (answer, body) => {
    const events: JsonObject[] = [
      { type: "response.created", response: { ...responseOf(answer, body), output: [] } },
      ...outputOf(answer).flatMap((item, index) => [
        { type: "response.output_item.added", output_index: index, item },
        { type: "response.output_item.done", output_index: index, item },
      ]),
      { type: "response.completed", response: responseOf(answer, body) },
    ];
    return events.map((event, index) =>
      sse({ ...event, sequence_number: index }, String(event["type"])),
    );
  },

  writeWhole: responseOf,

  writeRefusal: () => ({ status: 503, body: ERROR }),

  writeErrorEvent: () => sse({ type: "error", ...ERROR }, "error"),

  writeModels: (ids) => ({ object: "list", data: ids.map((id) => ({ id, object: "model" })) }),
};

const ERROR = { error: { message: "Overloaded", type: "server_error", code: null } };

function responseOf(answer: Answer, body: JsonObject): JsonObject {
  return {
    id: "resp_scripted",
    object: "response",
    created_at: 1_800_000_000,
    status: "completed",
    model: body["model"],
    output: outputOf(answer),
    usage: {
      input_tokens: SCRIPTED_USAGE.input,
      input_tokens_details: { cached_tokens: SCRIPTED_USAGE.cached },
      output_tokens: SCRIPTED_USAGE.output,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: SCRIPTED_USAGE.input + SCRIPTED_USAGE.output,
    },
  };
}

function outputOf(answer: Answer): readonly JsonObject[] {
  const message = {
    type: "message",
    id: "msg_scripted",
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text: answer.text, annotations: [] }],
  };
  return [
    ...(answer.text === undefined ? [] : [message]),
    ...answer.calls.map((call) => ({
      type: "function_call",
      id: `fc_${call.id}`,
      call_id: call.id,
      name: call.name,
      arguments: call.arguments,
      status: "completed",
    })),
  ];
}
