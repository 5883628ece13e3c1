import type { ChatPart, JsonObject } from "../chat/types.ts";
import {
  invalid,
  optionalString,
  requireArray,
  requireObject,
  requireString,
} from "../request-fields.ts";

/** Parts of one message; a long agent turn has some dozens. */
const PARTS_MAX = 10_000;

/** What a message of the user or a tool's output holds: text alone, or parts where there is more. */
export function readContent(value: unknown, param: string): string | readonly ChatPart[] {
  if (typeof value === "string") return value;
  const parts = requireArray(value, param, PARTS_MAX).map((part, index) =>
    readPart(part, `${param}[${index}]`),
  );
  const [only] = parts;
  if (only === undefined) return "";
  return parts.length === 1 && only.type === "text" ? only.text : parts;
}

function readPart(value: unknown, param: string): ChatPart {
  const part = requireObject(value, param);
  const type = requireString(part["type"], `${param}.type`);
  switch (type) {
    case "input_text":
    case "output_text":
    case "text":
    case "summary_text":
    case "reasoning_text":
      return { type: "text", text: requireString(part["text"], `${param}.text`) };
    case "refusal":
      return { type: "text", text: requireString(part["refusal"], `${param}.refusal`) };
    case "input_image":
      return readImage(part, param);
    case "input_file":
      return readFile(part, param);
    default:
      throw invalid(
        `${param}.type`,
        `Invalid value: '${type.slice(0, 64)}'. Supported values are: 'input_text', 'input_image', 'input_file', 'output_text' and 'refusal'`,
      );
  }
}

function readImage(part: JsonObject, param: string): ChatPart {
  const url = optionalString(part["image_url"], `${param}.image_url`);
  const detail = optionalString(part["detail"], `${param}.detail`);
  if (url === undefined) {
    throw invalid(
      `${param}.image_url`,
      `Missing '${param}.image_url': images by 'file_id' are not available here, give a data: URL or an address`,
    );
  }
  return { type: "image_url", image_url: { url, ...(detail === undefined ? {} : { detail }) } };
}

function readFile(part: JsonObject, param: string): ChatPart {
  const data = optionalString(part["file_data"], `${param}.file_data`);
  const id = optionalString(part["file_id"], `${param}.file_id`);
  const filename = optionalString(part["filename"], `${param}.filename`);
  if (data === undefined && id === undefined) {
    throw invalid(
      `${param}.file_data`,
      `Missing '${param}.file_data': files by 'file_url' are not available here`,
    );
  }
  return {
    type: "file",
    file: {
      ...(data === undefined ? {} : { file_data: data }),
      ...(id === undefined ? {} : { file_id: id }),
      ...(filename === undefined ? {} : { filename }),
    },
  };
}

export interface AssistantContent {
  readonly text: string;
  readonly refusal: string;
}

/** What an earlier answer said; its parts are pieces of one text. */
export function readAssistantContent(value: unknown, param: string): AssistantContent {
  if (typeof value === "string") return { text: value, refusal: "" };
  let text = "";
  let refusal = "";
  for (const [index, entry] of requireArray(value, param, PARTS_MAX).entries()) {
    const path = `${param}[${index}]`;
    const part = requireObject(entry, path);
    if (part["type"] === "refusal") {
      refusal += requireString(part["refusal"], `${path}.refusal`);
      continue;
    }
    const read = readPart(part, path);
    if (read.type !== "text") {
      throw invalid(
        path,
        `Invalid '${path}': a message of the assistant holds text, not a file or image`,
      );
    }
    text += read.text;
  }
  return { text, refusal };
}
