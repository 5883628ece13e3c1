import { CortexError } from "../../base/errors.ts";
import { isJsonObject } from "../request-fields.ts";
import type { ChatCompletion, ChatToolCall, JsonObject } from "./types.ts";

/**
 * An upstream's whole answer as the types promise it: thinking under its older name, arguments as text, nothing of a
 * wrong type. Throws CortexError `neuron_failed` for what is no answer.
 */
export function readCompletion(body: JsonObject): ChatCompletion {
  const { choices } = body;
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const message = isJsonObject(choice) ? choice["message"] : undefined;
  if (!isJsonObject(choice) || !isJsonObject(message)) {
    throw new CortexError("neuron_failed", "Upstream's answer holds no message");
  }
  const { content, reasoning_content: older, reasoning: newer, refusal } = message;
  const reasoning = typeof older === "string" ? older : newer;
  const calls = Array.isArray(message["tool_calls"])
    ? message["tool_calls"].filter(isJsonObject).map(readCall)
    : [];
  const read = {
    ...choice,
    message: {
      role: "assistant",
      content: typeof content === "string" ? content : null,
      ...(typeof reasoning === "string" && reasoning !== ""
        ? { reasoning_content: reasoning }
        : {}),
      ...(Array.isArray(message["thinking_blocks"])
        ? { thinking_blocks: message["thinking_blocks"] }
        : {}),
      ...(typeof refusal === "string" ? { refusal } : {}),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
    },
  } as unknown as ChatCompletion["choices"][number];
  return { ...(body as unknown as ChatCompletion), choices: [read] };
}

function readCall(call: JsonObject): ChatToolCall {
  const called = isJsonObject(call["function"]) ? call["function"] : {};
  const { name, arguments: args } = called;
  if (typeof name !== "string" || name === "") {
    throw new CortexError("neuron_failed", "Upstream's answer holds a tool call without a name");
  }
  const text = typeof args === "string" ? args : JSON.stringify(args ?? {});
  const id = typeof call["id"] === "string" ? call["id"] : "";
  return { id, type: "function", function: { name, arguments: text } };
}
