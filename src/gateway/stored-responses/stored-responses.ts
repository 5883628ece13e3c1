import { CortexError } from "../../base/errors.ts";
import type { JsonObject } from "../../translate/chat/types.ts";
import { readPreviousResponseId } from "../../translate/responses/request-settings.ts";
import type { EarlierResponses, StoredRequest } from "../../translate/responses/request-to-chat.ts";
import { toStoredItems } from "../../translate/responses/stored-items.ts";
import type { ResponseStore } from "./response-store.ts";

const PAGE_SIZE_DEFAULT = 20;
const PAGE_SIZE_MAX = 100;

/** Query of a list, as it came in the URL. */
export type Query = Pick<URLSearchParams, "get">;

/**
 * What clients may do with stored responses. Every method gives the JSON body of status 200 or throws a CortexError:
 * `response_not_found` or `invalid_request`.
 */
export class StoredResponses {
  readonly #store: ResponseStore;
  readonly #newId: (prefix: string) => string;

  constructor(store: ResponseStore, { newId }: { readonly newId: (prefix: string) => string }) {
    this.#store = store;
    this.#newId = newId;
  }

  /** What a request of POST /v1/responses refers to, for its translation. */
  getEarlier(body: JsonObject): EarlierResponses {
    const previous = readPreviousResponseId(body);
    const findItem = (id: string) => this.#store.findItem(id);
    if (previous === undefined) return { findItem };
    return { findItem, earlierItems: this.#store.getConversation(previous) };
  }

  /** Keeps an answer. False when it is too large; throws `unavailable` when the disk does not take it. */
  keep(response: JsonObject, { inputItems, previousResponseId }: StoredRequest): boolean {
    return this.#store.put({
      response,
      inputItems: toStoredItems(inputItems, this.#newId),
      previousId: previousResponseId,
    });
  }

  /** GET /v1/responses/{id} */
  retrieve(id: string, query: Query): JsonObject {
    const response = this.#require(id);
    if (query.get("stream") === "true") {
      const message =
        "This response cannot be streamed because it was not created with background=true";
      throw new CortexError("invalid_request", message, { param: "stream" });
    }
    return response;
  }

  /** DELETE /v1/responses/{id} */
  delete(id: string): JsonObject {
    if (!this.#store.delete(id)) throw notFound(id);
    return { id, object: "response", deleted: true };
  }

  /** POST /v1/responses/{id}/cancel: an answer is over before it is stored. */
  cancel(id: string): JsonObject {
    this.#require(id);
    throw new CortexError("invalid_request", "Cannot cancel a synchronous response");
  }

  /** GET /v1/responses/{id}/input_items */
  inputItems(id: string, query: Query): JsonObject {
    this.#require(id);
    const limit = readLimit(query.get("limit"));
    const order = readOrder(query.get("order"));
    const after = query.get("after") ?? undefined;
    const found = this.#store.listInputItems(id, { limit, order, after });
    if (found === undefined) {
      const message = `No input item with id '${(after ?? "").slice(0, 128)}' in this response`;
      throw new CortexError("invalid_request", message, { param: "after" });
    }
    const data = found.slice(0, limit);
    return {
      object: "list",
      data,
      first_id: data[0]?.["id"] ?? null,
      last_id: data.at(-1)?.["id"] ?? null,
      has_more: found.length > limit,
    };
  }

  #require(id: string): JsonObject {
    const response = this.#store.get(id);
    if (response === undefined) throw notFound(id);
    return response;
  }
}

function notFound(id: string): CortexError {
  return new CortexError("response_not_found", `Response with id '${id.slice(0, 128)}' not found.`);
}

function readLimit(value: string | null): number {
  if (value === null) return PAGE_SIZE_DEFAULT;
  const limit = Number(value);
  if (/^[0-9]{1,6}$/.test(value) && limit >= 1 && limit <= PAGE_SIZE_MAX) return limit;
  const message = `Invalid 'limit': '${value.slice(0, 32)}' is not a number from 1 to ${PAGE_SIZE_MAX}`;
  throw new CortexError("invalid_request", message, { param: "limit" });
}

function readOrder(value: string | null): "asc" | "desc" {
  if (value === null || value === "desc") return "desc";
  if (value === "asc") return "asc";
  const message = `Invalid 'order': '${value.slice(0, 32)}' is neither 'asc' nor 'desc'`;
  throw new CortexError("invalid_request", message, { param: "order" });
}
