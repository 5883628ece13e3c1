import type { ChatImagePart, ChatPart, JsonObject } from "../chat/types.ts";
import {
  invalid,
  optionalString,
  requireArray,
  requireObject,
  requireString,
} from "../request-fields.ts";
import type { Conversion, ToChatConversion } from "./conversion.ts";
import { BLOCKS_MAX } from "./request-schema.ts";

/** Blocks that only Anthropic's own servers make and read; an answer without them still is one. */
const SERVER_BLOCKS =
  /^(server_tool_use|mcp_tool_use|mcp_tool_result|container_upload|browser_state|fallback|[a-z_]+_tool_result)$/;

const BASE64 = /^[A-Za-z0-9+/_\s-]*={0,2}\s*$/;
const MEDIA_TYPE = /^[a-z]+\/[a-z0-9.+-]+$/i;
const SHOWN_CHARACTERS_MAX = 64;

/** What a content block of a user's turn or a tool's result says, as parts. Empty for what was let go. */
export function readBlock(
  block: JsonObject,
  { param, conversion }: { readonly param: string; readonly conversion: ToChatConversion },
): readonly ChatPart[] {
  const type = requireString(block["type"], `${param}.type`);
  switch (type) {
    case "text":
      return textParts(requireString(block["text"], `${param}.text`));
    case "image":
      return [readImage(block, param)];
    case "document":
      return readDocument(block, { param, conversion });
    case "search_result":
      return readSearchResult(block, param);
    case "compaction":
      return textParts(optionalString(block["content"], `${param}.content`) ?? "");
    case "tool_reference":
      // What a client's own search for tools finds; the tool itself comes with the request's others.
      return textParts(`Found: ${requireString(block["tool_name"], `${param}.tool_name`)}`);
    default:
      if (SERVER_BLOCKS.test(type)) {
        conversion.dropped.add(`messages.content.${type}`);
        return [];
      }
      throw invalid(
        `${param}.type`,
        `'${param}.type' is '${type.slice(0, SHOWN_CHARACTERS_MAX)}', must be one of text, image, document, search_result, tool_use, tool_result, thinking`,
      );
  }
}

function textParts(text: string): readonly ChatPart[] {
  return text === "" ? [] : [{ type: "text", text }];
}

function readImage(block: JsonObject, param: string): ChatImagePart {
  const at = `${param}.source`;
  const source = requireObject(block["source"], at);
  const type = requireString(source["type"], `${at}.type`);
  if (type === "url") return imagePart(requireString(source["url"], `${at}.url`));
  if (type === "base64") return imagePart(readDataUrl(source, at));
  throw invalid(
    `${at}.type`,
    `'${at}.type' is '${type.slice(0, SHOWN_CHARACTERS_MAX)}', must be base64 or url here`,
  );
}

function imagePart(url: string): ChatImagePart {
  return { type: "image_url", image_url: { url } };
}

function readDataUrl(source: JsonObject, param: string): string {
  const mediaType = requireString(source["media_type"], `${param}.media_type`);
  if (!MEDIA_TYPE.test(mediaType)) {
    const shown = mediaType.slice(0, SHOWN_CHARACTERS_MAX);
    throw invalid(`${param}.media_type`, `'${param}.media_type' is '${shown}', no media type`);
  }
  const data = requireString(source["data"], `${param}.data`);
  requireBase64(data, `${param}.data`);
  return `data:${mediaType};base64,${data}`;
}

function requireBase64(data: string, param: string): void {
  if (data === "") throw invalid(param, `'${param}' is empty, must be base64`);
  if (!BASE64.test(data)) {
    const shown = data.slice(0, 16);
    throw invalid(param, `'${param}' begins with '${shown}' and is no base64`);
  }
}

/** Text passes as text; a PDF as a file where the upstream takes one. */
function readDocument(
  block: JsonObject,
  { param, conversion }: { readonly param: string; readonly conversion: ToChatConversion },
): readonly ChatPart[] {
  const at = `${param}.source`;
  const source = requireObject(block["source"], at);
  const type = requireString(source["type"], `${at}.type`);
  const title = optionalString(block["title"], `${param}.title`) ?? "";
  const context = optionalString(block["context"], `${param}.context`) ?? "";
  const heading = [title, context].filter((text) => text !== "").join("\n\n");
  switch (type) {
    case "text": {
      const text = requireString(source["data"], `${at}.data`);
      return textParts(heading === "" ? text : `${heading}\n\n${text}`);
    }
    case "content": {
      const { content } = source;
      const parts =
        typeof content === "string"
          ? textParts(content)
          : readBlocks(content, { param: `${at}.content`, conversion });
      return [...textParts(heading), ...parts];
    }
    case "base64": {
      const file = { file_data: readDataUrl(source, at), filename: title || "document.pdf" };
      if (conversion.to === "openai") return [{ type: "file", file }];
      throw invalid(at, `'${param}' is a ${source["media_type"]}, which this model cannot read`);
    }
    default: {
      const shown = type.slice(0, SHOWN_CHARACTERS_MAX);
      throw invalid(
        `${at}.type`,
        `'${at}.type' is '${shown}', must be text, content or base64 here`,
      );
    }
  }
}

/** The parts of a list of blocks. */
export function readBlocks(
  value: unknown,
  { param, conversion }: { readonly param: string; readonly conversion: ToChatConversion },
): readonly ChatPart[] {
  return requireArray(value, param, BLOCKS_MAX).flatMap((entry, index) => {
    const at = `${param}.${index}`;
    return readBlock(requireObject(entry, at), { param: at, conversion });
  });
}

function readSearchResult(block: JsonObject, param: string): readonly ChatPart[] {
  const heading = [block["title"], block["source"]].filter((text) => typeof text === "string");
  const texts = requireArray(block["content"], `${param}.content`, BLOCKS_MAX).map(
    (entry, index) => {
      const at = `${param}.content.${index}`;
      return requireString(requireObject(entry, at)["text"], `${at}.text`);
    },
  );
  return textParts([...heading, ...texts].join("\n"));
}

/** Content of a chat message as blocks; empty texts are left out, which Anthropic refuses. */
export function toBlocks(
  content: unknown,
  { param, conversion }: { readonly param: string; readonly conversion: Conversion },
): readonly JsonObject[] {
  if (content === null || content === undefined) return [];
  if (typeof content === "string") return textBlocks(content);
  return requireArray(content, param, BLOCKS_MAX).flatMap((entry, index) => {
    const at = `${param}.${index}`;
    const part = requireObject(entry, at);
    const blocks = toPartBlocks(part, { param: at, conversion });
    const [only] = blocks;
    // Anthropic's own extension, which clients of both APIs set on parts.
    if (only === undefined || part["cache_control"] == null) return blocks;
    return [{ ...only, cache_control: part["cache_control"] }];
  });
}

function textBlocks(text: string): readonly JsonObject[] {
  return text.trim() === "" ? [] : [{ type: "text", text }];
}

function toPartBlocks(
  part: JsonObject,
  { param, conversion }: { readonly param: string; readonly conversion: Conversion },
): readonly JsonObject[] {
  const type = requireString(part["type"], `${param}.type`);
  switch (type) {
    case "text":
      return textBlocks(requireString(part["text"], `${param}.text`));
    case "refusal":
      return textBlocks(requireString(part["refusal"], `${param}.refusal`));
    case "image_url": {
      const { image_url: image } = part;
      const at = `${param}.image_url`;
      const url = typeof image === "string" ? image : requireObject(image, at)["url"];
      const source = toSource(requireString(url, `${at}.url`), `${at}.url`);
      return [{ type: "image", source }];
    }
    case "file":
      return [toDocument(requireObject(part["file"], `${param}.file`), `${param}.file`)];
    case "thinking":
    case "redacted_thinking":
      conversion.dropped.add(`messages.content.${type}`);
      return [];
    default: {
      const shown = type.slice(0, SHOWN_CHARACTERS_MAX);
      throw invalid(
        `${param}.type`,
        `'${param}.type' is '${shown}', must be text, image_url or file`,
      );
    }
  }
}

function toSource(url: string, param: string): JsonObject {
  const data = /^data:([a-z]+\/[a-z0-9.+-]+);base64,/i.exec(url);
  if (data !== null) {
    const encoded = url.slice(data[0].length);
    requireBase64(encoded, param);
    return { type: "base64", media_type: (data[1] ?? "").toLowerCase(), data: encoded };
  }
  if (/^https?:\/\//i.test(url)) return { type: "url", url };
  const shown = url.slice(0, SHOWN_CHARACTERS_MAX);
  throw invalid(param, `'${param}' is '${shown}', must be an address or a data: URL in base64`);
}

function toDocument(file: JsonObject, param: string): JsonObject {
  const title = optionalString(file["filename"], `${param}.filename`);
  const named = title === undefined ? {} : { title };
  const data = optionalString(file["file_data"], `${param}.file_data`);
  if (data === undefined) {
    throw invalid(
      param,
      `'${param}' has no 'file_data': files by 'file_id' are not available here`,
    );
  }
  // Both forms are in use: OpenAI documents a data: URL, its first examples had the base64 alone.
  const url = data.startsWith("data:") ? data : `data:application/pdf;base64,${data}`;
  const source = toSource(url, `${param}.file_data`);
  const mediaType = source["media_type"];
  if (mediaType === "application/pdf") return { type: "document", source, ...named };
  if (typeof mediaType === "string" && mediaType.startsWith("image/")) {
    return { type: "image", source };
  }
  if (typeof mediaType === "string" && mediaType.startsWith("text/")) {
    const text = decodeText(String(source["data"]));
    const plain = { type: "text", media_type: "text/plain", data: text };
    return { type: "document", source: plain, ...named };
  }
  throw invalid(`${param}.file_data`, `'${param}' is a ${mediaType}, must be a PDF, text or image`);
}

function decodeText(base64: string): string {
  const latin = atob(base64.replace(/\s/g, "").replace(/-/g, "+").replace(/_/g, "/"));
  return new TextDecoder().decode(Uint8Array.from(latin, (character) => character.charCodeAt(0)));
}
