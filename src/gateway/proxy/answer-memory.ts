import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { JsonObject } from "../../translate/chat/types.ts";
import type { EarlierResponses, StoredRequest } from "../../translate/responses/request-to-chat.ts";
import type { ThinkingCache } from "./thinking-cache.ts";

/** What later requests may need of earlier answers. */
export interface AnswerMemory {
  readonly thinking: ThinkingCache;
  readonly responses: {
    getEarlier(body: JsonObject): EarlierResponses;
    /** False when it is too large to be kept. */
    keep(response: JsonObject, stored: StoredRequest): boolean;
  };
}

/** Keeps a response that its client may refer to later; false, and a line in the log, when it cannot be kept. */
export function keepResponse(
  response: JsonObject,
  stored: StoredRequest,
  options: { readonly memory: AnswerMemory; readonly log: Log; readonly requestId: string },
): boolean {
  const { memory, log, requestId } = options;
  let cause = "it is larger than the store";
  try {
    if (memory.responses.keep(response, stored)) return true;
  } catch (thrown) {
    cause = describeError(thrown);
  }
  log.warn("Response not kept", { request: requestId, cause });
  return false;
}
