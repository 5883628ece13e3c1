import { formatSseData, SSE_DONE } from "../../src/base/sse.ts";
import type { JsonObject } from "../../src/translate/chat/types.ts";
import { jsonOf, newContext, openAnswer, relay, translate } from "./fixture.ts";
import { type Answer, type Cut, toChunks, toCompletion } from "./responses/chat-answers.ts";

const PLAIN = { model: "m", messages: [{ role: "user", content: "Hi" }] };

export interface StreamForm {
  readonly cut: Cut;
  readonly interleaved?: boolean;
}

/** An answer as an upstream that speaks chat gives it. */
export const chatUpstream = {
  whole: (answer: Answer): JsonObject => jsonOf(toCompletion(answer)),
  stream: (answer: Answer, form: StreamForm): string =>
    toChunks(answer, form).map(formatSseData).join("") + SSE_DONE,
};

/** The same as Anthropic gives it. */
export const anthropicUpstream = {
  whole: (answer: Answer): JsonObject => toAnthropic(answer).whole(chatUpstream.whole(answer)),
  stream: (answer: Answer, form: StreamForm): string =>
    relay(toAnthropic(answer).openStream(), [chatUpstream.stream(answer, form)]),
};

function toAnthropic({ usage }: Answer) {
  const context = newContext({ promptTokens: usage?.prompt_tokens ?? 11 });
  return openAnswer(translate({ from: "messages", to: "neuron", body: PLAIN, context }));
}
