import type { JsonObject, ThinkingBlock } from "../chat/types.ts";
import { isJsonObject } from "../request-fields.ts";

/** What a reasoning item must carry through a client that keeps no state here. */
export interface SealedReasoning {
  readonly text: string;
  readonly blocks: readonly ThinkingBlock[];
}

/** Tells our content from that of other servers, which is let go; the digit is the encoding's version. */
const MARK = "cortex1.";

/**
 * Reasoning as `encrypted_content`: readable by whoever holds it, as the client is shown it anyway, and opaque only so
 * that no client takes it apart. An upstream's signatures, which travel inside, are what protects its blocks.
 */
export function sealReasoning({ text, blocks }: SealedReasoning): string {
  const isRepeated = blocks.length > 0 && textOf(blocks) === text;
  const content = { ...(isRepeated ? {} : { text }), ...(blocks.length === 0 ? {} : { blocks }) };
  return `${MARK}${Buffer.from(JSON.stringify(content)).toString("base64")}`;
}

/** Undefined for content that is not ours or was damaged: a conversation begun elsewhere goes on without it. */
export function openReasoning(content: string): SealedReasoning | undefined {
  if (!content.startsWith(MARK)) return undefined;
  const parsed = parseJson(Buffer.from(content.slice(MARK.length), "base64").toString("utf8"));
  if (parsed === undefined) return undefined;
  const listed = parsed["blocks"] ?? [];
  if (!Array.isArray(listed) || !listed.every(isThinkingBlock)) return undefined;
  const text = parsed["text"] ?? textOf(listed);
  return typeof text === "string" ? { text, blocks: listed } : undefined;
}

function textOf(blocks: readonly ThinkingBlock[]): string {
  return blocks.map((block) => (block.type === "thinking" ? block.thinking : "")).join("");
}

function parseJson(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch (thrown) {
    // A RangeError is what too deep a nesting gives.
    if (thrown instanceof SyntaxError || thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

function isThinkingBlock(value: unknown): value is ThinkingBlock {
  if (!isJsonObject(value)) return false;
  if (value["type"] === "redacted_thinking") return typeof value["data"] === "string";
  return (
    value["type"] === "thinking" &&
    typeof value["thinking"] === "string" &&
    typeof value["signature"] === "string"
  );
}
