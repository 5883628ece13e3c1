import type { ChatRequest, JsonObject } from "../chat/types.ts";
import { DroppedFields } from "../dropped-fields.ts";
import {
  checkBody,
  invalid,
  optionalBoolean,
  optionalString,
  requireArray,
  requireObject,
  requireString,
} from "../request-fields.ts";
import { Conversation } from "./conversation.ts";
import { readItem } from "./input-items.ts";
import { INPUT_ITEMS_MAX } from "./request-schema.ts";
import {
  type RequestSettings,
  readPreviousResponseId,
  readSettings,
  readUpdates,
} from "./request-settings.ts";
import type { ToolNames } from "./tool-names.ts";
import { chooseTools, ToolSet } from "./tools.ts";

/** What a request refers to and only a store can give. */
export interface EarlierResponses {
  /** Inputs and outputs of the responses before this one, oldest first; needed with `previous_response_id`. */
  readonly earlierItems?: readonly JsonObject[];
  /** An item of any stored response, for `item_reference`. */
  readonly findItem?: (id: string) => JsonObject | undefined;
}

/** How the answer to a request has to look. */
export interface AnswerSettings
  extends Pick<RequestSettings, "echo" | "reasoningAs" | "sealsReasoning"> {
  readonly names: ToolNames;
}

/** What a store keeps of a request beside the answer to it. */
export interface StoredRequest {
  /** The request's own input with references resolved; not the earlier responses'. */
  readonly inputItems: readonly JsonObject[];
  readonly previousResponseId: string | undefined;
}

/** A request of the Responses dialect, understood. */
export interface ResponsesRequest {
  readonly chat: ChatRequest;
  readonly answer: AnswerSettings;
  /** Undefined where the client does not want the response kept. */
  readonly stored: StoredRequest | undefined;
  /** Names of fields, tools and items that were let go. */
  readonly dropped: readonly string[];
}

/** Turns a request into the pivot. Throws CortexError `invalid_request` that names the field at fault. */
export function toChatRequest(body: JsonObject, earlier: EarlierResponses = {}): ResponsesRequest {
  checkBody(body);
  const model = requireString(body["model"], "model");
  const dropped = new DroppedFields();
  const earlierItems = requireEarlier(body, earlier);
  const inputItems = resolveReferences(readInput(body["input"]), { earlierItems, ...earlier });
  if (inputItems.length + earlierItems.length === 0) {
    throw invalid("input", "Invalid 'input': empty, at least one item is needed");
  }
  const update = readUpdates(inputItems, "input");
  const settings = readSettings(body, { update, dropped });

  const toolSet = new ToolSet(dropped);
  if (body["tools"] !== undefined && body["tools"] !== null) toolSet.add(body["tools"], "tools");
  addToolsOfItems(toolSet, earlierItems, "previous_response_id.input");
  addToolsOfItems(toolSet, inputItems, "input");
  const sealed = toolSet.seal();
  const names = toolSet.names;
  const { tools, choice } = chooseTools(body["tool_choice"], { tools: sealed, names });

  const conversation = new Conversation();
  const instructions = optionalString(body["instructions"], "instructions");
  if (instructions !== undefined && instructions !== "") {
    conversation.addMessage("system", instructions);
  }
  const reader = { conversation, names, dropped };
  for (const [index, item] of earlierItems.entries()) {
    readItem(item, `previous_response_id.input[${index}]`, reader);
  }
  for (const [index, item] of inputItems.entries()) readItem(item, `input[${index}]`, reader);
  const messages = conversation.toMessages();
  if (messages.length === 0) throw invalid("input", "Invalid 'input': it holds nothing to answer");

  const parallel = optionalBoolean(body["parallel_tool_calls"], "parallel_tool_calls");
  const chat: ChatRequest = {
    model,
    messages,
    ...(optionalBoolean(body["stream"], "stream") === true ? { stream: true } : {}),
    ...settings.chat,
    ...(tools.length === 0 ? {} : { tools }),
    ...(choice === undefined ? {} : { tool_choice: choice }),
    ...(parallel === undefined || tools.length === 0 ? {} : { parallel_tool_calls: parallel }),
  };
  return {
    chat,
    answer: {
      echo: settings.echo,
      reasoningAs: settings.reasoningAs,
      sealsReasoning: settings.sealsReasoning,
      names,
    },
    stored:
      settings.echo["store"] === true
        ? { inputItems, previousResponseId: readPreviousResponseId(body) }
        : undefined,
    dropped: dropped.toNames(),
  };
}

/** A text alone is the message of a user. */
function readInput(value: unknown): readonly JsonObject[] {
  if (value === undefined || value === null || value === "") return [];
  if (typeof value === "string") {
    const content = [{ type: "input_text", text: value }];
    return [{ type: "message", role: "user", content }];
  }
  return requireArray(value, "input", INPUT_ITEMS_MAX).map((item, index) =>
    requireObject(item, `input[${index}]`),
  );
}

function requireEarlier(
  body: JsonObject,
  { earlierItems }: EarlierResponses,
): readonly JsonObject[] {
  const previous = readPreviousResponseId(body);
  if (previous === undefined) return [];
  if (earlierItems !== undefined) return earlierItems;
  const message = `Previous response with id '${previous.slice(0, 128)}' not found`;
  throw invalid("previous_response_id", message);
}

/** Puts stored items where the request names them; one that is there already is not repeated. */
function resolveReferences(
  items: readonly JsonObject[],
  { earlierItems, findItem }: Required<Pick<EarlierResponses, "earlierItems">> & EarlierResponses,
): readonly JsonObject[] {
  const isReference = (item: JsonObject) =>
    item["type"] === "item_reference" || (item["type"] == null && item["role"] === undefined);
  if (!items.some(isReference)) return items;
  const present = new Set(earlierItems.map((item) => item["id"]));
  return items.flatMap((item, index) => {
    if (!isReference(item)) return [item];
    const id = requireString(item["id"], `input[${index}].id`);
    if (present.has(id)) return [];
    const found = findItem?.(id);
    if (found !== undefined) return [found];
    const message = `Item with id '${id.slice(0, 128)}' not found. Items are kept only of responses that were made with 'store' set to true`;
    throw invalid(`input[${index}]`, message);
  });
}

function addToolsOfItems(toolSet: ToolSet, items: readonly JsonObject[], param: string): void {
  for (const [index, item] of items.entries()) {
    if (item["type"] !== "additional_tools" && item["type"] !== "tool_search_output") continue;
    if (item["tools"] === undefined) continue;
    toolSet.add(item["tools"], `${param}[${index}].tools`);
  }
}
