import type { JsonObject, ThinkingBlock } from "../chat/types.ts";
import { deltaHead, type EventWriter, GrowingText } from "./event-writer.ts";
import type { ItemPlace, OpenItem } from "./open-message.ts";
import { type ItemStatus, reasoningItem } from "./output-items.ts";
import type { AnswerSettings } from "./request-to-chat.ts";

/** An item of reasoning while it is written: as a summary, or as the text that it is. */
export class OpenReasoning implements OpenItem {
  readonly #events: EventWriter;
  readonly #place: ItemPlace;
  readonly #settings: Pick<AnswerSettings, "reasoningAs" | "sealsReasoning">;
  readonly #blocks: ThinkingBlock[] = [];
  readonly #growing = new GrowingText();
  #head = "";

  constructor(
    events: EventWriter,
    options: {
      readonly place: ItemPlace;
      readonly settings: Pick<AnswerSettings, "reasoningAs" | "sealsReasoning">;
    },
  ) {
    this.#events = events;
    this.#place = options.place;
    this.#settings = options.settings;
  }

  open(): string {
    const fields = { output_index: this.#place.outputIndex, item: this.#item("in_progress") };
    return this.#events.event("response.output_item.added", fields);
  }

  addText(piece: string): string {
    const opening = this.#head === "" ? this.#openPart() : "";
    const text = this.#growing.take(piece);
    return text === "" ? opening : opening + this.#events.delta(this.#head, text);
  }

  addBlocks(blocks: readonly ThinkingBlock[]): void {
    this.#blocks.push(...blocks);
  }

  close(status: ItemStatus): { readonly text: string; readonly item: JsonObject } {
    const closing = this.#head === "" ? "" : this.#closePart();
    const item = this.#item(status);
    const fields = { output_index: this.#place.outputIndex, item };
    return { text: closing + this.#events.event("response.output_item.done", fields), item };
  }

  #openPart(): string {
    const place = this.#partPlace();
    this.#head = deltaHead(this.#names().delta, place);
    return this.#events.event(this.#names().partAdded, { ...place, part: this.#part("") });
  }

  #closePart(): string {
    const place = this.#partPlace();
    const half = this.#growing.rest();
    const rest = half === "" ? "" : this.#events.delta(this.#head, half);
    const { text } = this.#growing;
    const done = this.#events.event(this.#names().done, { ...place, text });
    const part = this.#part(text);
    return rest + done + this.#events.event(this.#names().partDone, { ...place, part });
  }

  #item(status: ItemStatus): JsonObject {
    const content = { text: this.#growing.text, blocks: this.#blocks, settings: this.#settings };
    return reasoningItem({ id: this.#place.id, status }, content);
  }

  #part(text: string): JsonObject {
    const type = this.#settings.reasoningAs === "summary" ? "summary_text" : "reasoning_text";
    return { type, text };
  }

  #partPlace(): JsonObject {
    const place = { item_id: this.#place.id, output_index: this.#place.outputIndex };
    return this.#settings.reasoningAs === "summary"
      ? { ...place, summary_index: 0 }
      : { ...place, content_index: 0 };
  }

  #names(): typeof SUMMARY_EVENTS | typeof TEXT_EVENTS {
    return this.#settings.reasoningAs === "summary" ? SUMMARY_EVENTS : TEXT_EVENTS;
  }
}

const SUMMARY_EVENTS = {
  partAdded: "response.reasoning_summary_part.added",
  delta: "response.reasoning_summary_text.delta",
  done: "response.reasoning_summary_text.done",
  partDone: "response.reasoning_summary_part.done",
} as const;

const TEXT_EVENTS = {
  partAdded: "response.content_part.added",
  delta: "response.reasoning_text.delta",
  done: "response.reasoning_text.done",
  partDone: "response.content_part.done",
} as const;
