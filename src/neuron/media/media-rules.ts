import { CortexError } from "../../base/errors.ts";
import { invalid, isObject, type JsonObject, showValue } from "../requests/json-body.ts";
import { readImageHeader } from "./image-header.ts";

/** Of one request: each costs the model some hundred tokens, and the host a decoding. */
const IMAGES_MAX = 64;
/** Of one image, decoded from base64; what OpenAI's and Anthropic's services take is less. */
export const IMAGE_BYTES_MAX = 20 * 1024 * 1024;
/** The engine unpacks an image to three bytes a pixel before it scales it down: 120 MB for this many. */
const IMAGE_PIXELS_MAX = 40_000_000;
const SOUND_BYTES_MAX = 32 * 1024 * 1024;

/** What the engine's decoder reads, by the names that clients give to it. */
const IMAGE_TYPES: ReadonlyMap<string, string> = new Map([
  ["image/png", "image/png"],
  ["image/jpeg", "image/jpeg"],
  ["image/jpg", "image/jpeg"],
  ["image/gif", "image/gif"],
  ["image/bmp", "image/bmp"],
]);

const DATA_URL = /^data:([a-z]+\/[a-z0-9.+-]+)(?:;[a-z0-9-]+=[^;,]*)*;base64,/i;

/** What a model can take in. */
export interface MediaReader {
  readonly model: string;
  readonly capabilities: readonly string[];
}

/**
 * Checks images and sound of a conversation before the engine decodes them, and returns it with the data in one form.
 * @throws CortexError invalid_request for a model that has no projector for them, bad data, or too much of it
 */
export function checkMedia(messages: readonly JsonObject[], reader: MediaReader): JsonObject[] {
  let images = 0;
  return messages.map((message, index) => {
    const { content } = message;
    if (!Array.isArray(content) || !content.some(isMedia)) return message;
    const parts = content.map((part: JsonObject, position) => {
      const at = `messages[${index}].content[${position}]`;
      if (part["type"] === "input_audio") return checkSound(part, at, reader);
      if (part["type"] !== "image_url") return part;
      images += 1;
      if (images > IMAGES_MAX) {
        throw invalid("messages", `'messages' has more than ${IMAGES_MAX} images`);
      }
      return checkImage(part, at, reader);
    });
    return { ...message, content: parts };
  });
}

/** The address of a part's image, whatever its form. */
export function imageUrlOf(part: unknown): string | undefined {
  if (!isObject(part) || part["type"] !== "image_url") return undefined;
  const image = part["image_url"];
  const url = isObject(image) ? image["url"] : image;
  return typeof url === "string" ? url : undefined;
}

function isMedia(part: unknown): boolean {
  return isObject(part) && (part["type"] === "image_url" || part["type"] === "input_audio");
}

function checkImage(part: JsonObject, at: string, reader: MediaReader): JsonObject {
  const param = `${at}.image_url.url`;
  requireSense(reader, { capability: "vision", what: "images", param });
  const url = imageUrlOf(part);
  const head = DATA_URL.exec(url?.slice(0, 200) ?? "");
  if (url === undefined || head === null) {
    throw invalid(param, `'${param}' is ${showValue(url)}, must be a data: URL with base64`);
  }
  const named = (head[1] ?? "").toLowerCase();
  const type = IMAGE_TYPES.get(named);
  if (type === undefined) {
    const allowed = [...new Set(IMAGE_TYPES.values())].join(", ");
    throw invalid(param, `'${param}' has the type ${showValue(named)}, must be one of ${allowed}`);
  }
  const data = url.slice(head[0].length);
  const header = readImageHeader(decode(data, { param, bytesMax: IMAGE_BYTES_MAX }));
  if (header === undefined) throw invalid(param, `'${param}' is no image of type ${type}`);
  if (header.type !== type) {
    throw invalid(param, `'${param}' is called ${named}, but its data are ${header.type}`);
  }
  if (header.width === 0 || header.height === 0 || !header.isComplete) {
    throw invalid(param, `'${param}' is damaged: its data end too early for ${type}`);
  }
  if (header.width * header.height > IMAGE_PIXELS_MAX) {
    throw invalid(
      param,
      `'${param}' has ${header.width} x ${header.height} pixels, at most ${IMAGE_PIXELS_MAX} in all are allowed`,
    );
  }
  return { type: "image_url", image_url: { url: `data:${type};base64,${compact(data)}` } };
}

function checkSound(part: JsonObject, at: string, reader: MediaReader): JsonObject {
  const param = `${at}.input_audio`;
  requireSense(reader, { capability: "audio", what: "sound", param });
  const sound = part["input_audio"];
  const data = isObject(sound) ? sound["data"] : undefined;
  const format = isObject(sound) ? sound["format"] : undefined;
  if (typeof data !== "string" || data.includes(":")) {
    throw invalid(`${param}.data`, `'${param}.data' is ${showValue(data)}, must be base64`);
  }
  if (format !== "wav" && format !== "mp3") {
    throw invalid(
      `${param}.format`,
      `'${param}.format' is ${showValue(format)}, must be wav or mp3`,
    );
  }
  decode(data, { param: `${param}.data`, bytesMax: SOUND_BYTES_MAX });
  return { type: "input_audio", input_audio: { data: compact(data), format } };
}

function requireSense(
  reader: MediaReader,
  need: { readonly capability: string; readonly what: string; readonly param: string },
): void {
  if (reader.capabilities.includes(need.capability)) return;
  throw new CortexError(
    "invalid_request",
    `Model '${reader.model}' does not take ${need.what}: it has no projector for them`,
    { param: need.param },
  );
}

function decode(
  data: string,
  limit: { readonly param: string; readonly bytesMax: number },
): Uint8Array {
  const { param, bytesMax } = limit;
  if (data.length > (bytesMax / 3) * 4 + 4) {
    const bytes = Math.floor((data.length / 4) * 3);
    throw invalid(param, `'${param}' has about ${bytes} bytes, at most ${bytesMax} are allowed`);
  }
  try {
    return Uint8Array.fromBase64(data);
  } catch {
    throw invalid(param, `'${param}' is no valid base64`);
  }
}

/** Without the line breaks that the engine's decoder would end at. */
function compact(data: string): string {
  return /\s/.test(data) ? data.replaceAll(/\s+/g, "") : data;
}
