import { newId } from "../../base/ids.ts";
import type { JsonObject } from "../../translate/chat/types.ts";
import type { Translation, TranslationContext, UpstreamKind } from "../../translate/dialects.ts";
import { translateRequest } from "../../translate/translation.ts";
import type { AnswerMemory } from "./answer-memory.ts";
import type { Ask } from "./ask.ts";
import { readBody } from "./read-body.ts";

/** Where a request goes, and under which name of the model. */
export interface TranslationTarget {
  readonly kind: UpstreamKind;
  readonly id: string;
  readonly memory: AnswerMemory;
}

/**
 * The request in the upstream's dialect; undefined where it can go as it came. Throws `invalid_request` for what cannot
 * be said there.
 */
export function planTranslated(ask: Ask, target: TranslationTarget): Translation | undefined {
  const { endpoint } = ask;
  const { kind, id, memory } = target;
  const body: JsonObject = { ...readBody(ask.body), model: id };
  return translateRequest({
    from: endpoint.dialect,
    to: kind,
    body,
    context: toContext(ask, memory),
    endpoint: endpoint.name === "count_tokens" ? "count_tokens" : "generate",
    ...(endpoint.name === "responses" ? { earlier: memory.responses.getEarlier(body) } : {}),
  });
}

function toContext(ask: Ask, { thinking }: AnswerMemory): TranslationContext {
  return {
    requestId: ask.requestId,
    createdSeconds: Math.floor(Date.now() / 1_000),
    model: ask.model,
    promptTokens: Math.ceil(ask.promptTokens),
    newId,
    recallThinking: (toolCallId) => thinking.recall(toolCallId),
    keepThinking: (toolCallId, blocks) => thinking.keep(toolCallId, blocks),
  };
}
