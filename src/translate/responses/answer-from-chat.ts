import { CortexError } from "../../base/errors.ts";
import type { ChatCompletion, ChatToolCall, JsonObject } from "../chat/types.ts";
import {
  callItem,
  callPrefix,
  type ItemStatus,
  messageItem,
  readCallInput,
  readLogprobs,
  reasoningItem,
  refusalPart,
  textPart,
} from "./output-items.ts";
import type { AnswerSettings } from "./request-to-chat.ts";
import {
  finalState,
  type ResponsesContext,
  responseObject,
  responseUsage,
} from "./response-object.ts";

export interface AnswerOptions {
  readonly settings: AnswerSettings;
  readonly context: ResponsesContext;
}

/** A whole answer as a Response object. Throws CortexError `neuron_failed` for an answer without a choice. */
export function fromChatCompletion(completion: ChatCompletion, options: AnswerOptions): JsonObject {
  const { settings, context } = options;
  const choice = completion.choices[0];
  if (choice === undefined) throw new CortexError("neuron_failed", "The answer has no choices");
  const id = context.newId("resp");
  const refusal = choice.message.refusal ?? "";
  const state = finalState(choice.finish_reason, { hasRefusal: refusal !== "" });
  const builders = itemBuilders(choice, options);
  const lastStatus = state.status === "incomplete" ? "incomplete" : "completed";
  const output = builders.map((build, index) =>
    build(index === builders.length - 1 ? lastStatus : "completed"),
  );
  const usage = responseUsage(completion.usage, context);
  return responseObject({ id, state, output, usage }, { settings, context });
}

type ItemBuilder = (status: ItemStatus) => JsonObject;

/** In the order in which models answer: reasoning, message, calls. */
function itemBuilders(
  { message, logprobs }: ChatCompletion["choices"][number],
  { settings, context }: AnswerOptions,
): readonly ItemBuilder[] {
  const builders: ItemBuilder[] = [];
  const text = message.reasoning_content ?? "";
  const blocks = message.thinking_blocks ?? [];
  if (text !== "" || blocks.length > 0) {
    const id = context.newId("rs");
    builders.push((status) => reasoningItem({ id, status }, { text, blocks, settings }));
  }
  const content: JsonObject[] = [];
  const answer = message.content ?? "";
  const refusal = message.refusal ?? "";
  if (answer !== "") content.push(textPart(answer, readLogprobs(logprobs)));
  if (refusal !== "") content.push(refusalPart(refusal));
  if (content.length > 0) {
    const id = context.newId("msg");
    builders.push((status) => messageItem({ id, status }, content));
  }
  for (const call of message.tool_calls ?? [])
    builders.push(callBuilder(call, { settings, context }));
  return builders;
}

function callBuilder(call: ChatToolCall, { settings, context }: AnswerOptions): ItemBuilder {
  if (call.function.name === "")
    throw new CortexError("neuron_failed", "A tool call without a name");
  const tool = settings.names.fromChat(call.function.name);
  const callId = call.id === "" ? context.newId("call") : call.id;
  const id = context.newId(callPrefix(tool));
  const input = readCallInput(tool, call.function.arguments);
  return (status) => callItem({ id, status }, { callId, tool, input });
}
