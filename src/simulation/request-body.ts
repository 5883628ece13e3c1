import { ByteSpan } from "../base/byte-span.ts";
import type { Ask, PromptPiece } from "./specs.ts";

/** As the gateway reckons: about four bytes of JSON for a token. */
const BYTES_PER_TOKEN = 4;
/** What a message costs beside its text. */
const MESSAGE_BYTES = 32;
const WORDS = "the quick brown fox jumps over the lazy dog and runs on ";

/**
 * A simulated request as a chat client sends it: one message for each piece of its prompt, whose text follows from its
 * key alone, so that prompts which begin alike are bytes that begin alike.
 */
export function formatBody(ask: Ask): ByteSpan {
  const head =
    `{"model":${JSON.stringify(ask.model)},"user":"simulated-${ask.id}"` +
    `,"stream":${ask.stream},"max_tokens":${ask.answer.tokens},"messages":[`;
  const messages = ask.prompt.map((piece, index) => formatMessage(piece, index)).join(",");
  return new ByteSpan(Buffer.from(`${head}${messages}]}`));
}

function formatMessage({ key, tokens }: PromptPiece, index: number): string {
  const role = index === 0 ? "system" : index % 2 === 1 ? "user" : "assistant";
  const bytes = Math.max(1, tokens * BYTES_PER_TOKEN - MESSAGE_BYTES - role.length);
  const start = JSON.stringify(`${key} `).slice(1, -1);
  const text =
    start.length >= bytes
      ? start.slice(0, bytes).replaceAll("\\", "/")
      : start +
        WORDS.repeat(Math.ceil((bytes - start.length) / WORDS.length)).slice(
          0,
          bytes - start.length,
        );
  return `{"role":"${role}","content":"${text}"}`;
}
