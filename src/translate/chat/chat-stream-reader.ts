import { CortexError } from "../../base/errors.ts";
import type { SseEvent } from "../../base/sse.ts";
import type { ChatStreamReader } from "../dialects.ts";
import { readUpstreamErrorEvent } from "../errors/upstream-errors.ts";
import { isJsonObject } from "../request-fields.ts";
import { normaliseDelta, type ToolPositions } from "./read-delta.ts";
import type { ChatChunk, JsonObject } from "./types.ts";

/**
 * Reads the stream of an upstream that speaks chat. Each chunk is parsed once and handed on as it came where it can be.
 */
export class ChatChunkReader implements ChatStreamReader {
  #ending: "open" | "done" | "error" = "open";
  #error: CortexError | undefined;
  readonly #positions: ToolPositions = { last: -1, lastId: undefined };

  get ending(): "open" | "done" | "error" {
    return this.#ending;
  }

  get error(): CortexError | undefined {
    return this.#error;
  }

  push({ data, event }: SseEvent): readonly ChatChunk[] {
    if (this.#ending !== "open") return [];
    if (data === "[DONE]") {
      this.#ending = "done";
      return [];
    }
    const chunk = parseEventData(data);
    const { choices } = chunk;
    if (event === "error" || (chunk["error"] !== undefined && chunk["error"] !== null)) {
      this.#ending = "error";
      this.#error = readUpstreamErrorEvent(chunk);
      return [];
    }
    // Extras of some servers, such as a comment on the request's cost, have no choices and no usage.
    if (choices === undefined && chunk["usage"] === undefined) return [];
    return [this.#readChunk(chunk)];
  }

  #readChunk(chunk: JsonObject): ChatChunk {
    const choices = chunk["choices"] ?? [];
    if (!Array.isArray(choices)) throw malformed("its 'choices' are no array");
    const [choice] = choices;
    if (choice === undefined) return { ...(chunk as unknown as ChatChunk), choices: [] };
    if (!isJsonObject(choice)) throw malformed("a choice is no object");
    const delta = choice["delta"];
    const normal = normaliseDelta(delta, this.#positions);
    const isNormal = normal === delta && choice["index"] === 0;
    if (isNormal && choice["finish_reason"] !== undefined) return chunk as unknown as ChatChunk;
    // One choice is all that is ever asked for, and some servers give it no number.
    const finish = choice["finish_reason"] ?? null;
    const read = { ...choice, index: 0, delta: normal, finish_reason: finish };
    return { ...chunk, choices: [read] } as unknown as ChatChunk;
  }
}

/** The JSON object of an event. Throws CortexError `neuron_failed` for anything else. */
export function parseEventData(data: string): JsonObject {
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch (thrown) {
    throw malformed("it is no JSON", thrown);
  }
  if (!isJsonObject(parsed)) throw malformed("it is no object");
  return parsed;
}

/** What to throw for an event that is none of the upstream's dialect. */
export function malformed(why: string, cause?: unknown): CortexError {
  return new CortexError("neuron_failed", `Upstream sent an event that cannot be read: ${why}`, {
    cause,
  });
}
