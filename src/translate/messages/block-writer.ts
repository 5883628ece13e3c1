import { formatSseEvent } from "../../base/sse.ts";
import type { MessagesBlock } from "./types.ts";

type BlockKind = "text" | "thinking" | "tool_use";

const DELTAS: Readonly<Record<BlockKind, readonly [type: string, field: string]>> = {
  text: ["text_delta", "text"],
  thinking: ["thinking_delta", "thinking"],
  tool_use: ["input_json_delta", "partial_json"],
};

/** Writes content blocks as events: one open at a time, indices without gaps, every one closed. */
export class BlockWriter {
  #index = -1;
  #kind: BlockKind | undefined;
  /** Everything before a delta's text; the same for the whole block. */
  #deltaHead = "";

  get kind(): BlockKind | undefined {
    return this.#kind;
  }

  /** Opens a block after closing the one before it. */
  open(block: MessagesBlock & { readonly type: BlockKind }): string {
    const closed = this.close();
    this.#index++;
    this.#kind = block.type;
    const [type, field] = DELTAS[block.type];
    this.#deltaHead =
      "event: content_block_delta\n" +
      `data: {"type":"content_block_delta","index":${this.#index},"delta":{"type":"${type}","${field}":`;
    const start = { type: "content_block_start", index: this.#index, content_block: block };
    return closed + formatSseEvent("content_block_start", start);
  }

  /** A piece of the open block's text. */
  delta(text: string): string {
    return `${this.#deltaHead}${JSON.stringify(text)}}}\n\n`;
  }

  close(): string {
    if (this.#kind === undefined) return "";
    const index = this.#index;
    // Clients wait for one before a thinking block ends. Thinking of other makers has none.
    const signature =
      this.#kind === "thinking"
        ? formatSseEvent("content_block_delta", {
            type: "content_block_delta",
            index,
            delta: { type: "signature_delta", signature: "" },
          })
        : "";
    this.#kind = undefined;
    return signature + formatSseEvent("content_block_stop", { type: "content_block_stop", index });
  }
}
