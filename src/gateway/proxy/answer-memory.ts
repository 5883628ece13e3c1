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
