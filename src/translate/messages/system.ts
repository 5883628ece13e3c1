import type { JsonObject } from "../chat/types.ts";
import { requireArray, requireObject, requireString } from "../request-fields.ts";
import type { Conversion } from "./conversion.ts";
import { BLOCKS_MAX } from "./request-schema.ts";

/** What Claude Code puts first: key=value pairs with a stamp that changes between runs and would spoil every cache. */
const BILLING_HEADER = /^x-anthropic-billing-header:(?:\s*[\w-]+=[^;\n]*(?:;|$))*\s*/;

/** A system prompt, text or blocks, as one text; "" where there is none. */
export function readSystem(
  value: unknown,
  { param, conversion }: { readonly param: string; readonly conversion: Conversion },
): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return stripBilling(value, conversion);
  const texts = requireArray(value, param, BLOCKS_MAX).map((entry, index) => {
    const at = `${param}.${index}`;
    const block = requireObject(entry, at);
    return stripBilling(requireString(block["text"], `${at}.text`), conversion);
  });
  return texts.filter((text) => text !== "").join("\n\n");
}

function stripBilling(text: string, { dropped }: Conversion): string {
  if (!text.startsWith("x-anthropic-billing-header:")) return text;
  dropped.add("system.x-anthropic-billing-header");
  return text.replace(BILLING_HEADER, "");
}

/** A system message amid a conversation, for upstreams that take none there: text of the user's next turn. */
export function toTaggedSystem(text: string): JsonObject {
  return { type: "text", text: `<system>\n${text}\n</system>` };
}
