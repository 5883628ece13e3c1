import type { JsonObject } from "../chat/types.ts";
import { CustomInputReader } from "./custom-input.ts";
import { deltaHead, type EventWriter, GrowingText } from "./event-writer.ts";
import type { ItemPlace, OpenItem } from "./open-message.ts";
import { callItem, type ItemStatus, NO_ARGUMENTS } from "./output-items.ts";
import type { ClientTool, ToolKind } from "./tool-names.ts";

/** What tells one call from another. */
export interface CallIdentity {
  readonly callId: string;
  readonly tool: ClientTool;
}

/** A call of a tool while its arguments come. */
export class OpenCall implements OpenItem {
  readonly #events: EventWriter;
  readonly #place: ItemPlace;
  readonly #identity: CallIdentity;
  readonly #custom: CustomInputReader | undefined;
  readonly #growing = new GrowingText();
  readonly #head: string | undefined;

  constructor(
    events: EventWriter,
    options: { readonly place: ItemPlace; readonly identity: CallIdentity },
  ) {
    this.#events = events;
    this.#place = options.place;
    this.#identity = options.identity;
    const { kind } = options.identity.tool;
    this.#custom = kind === "custom" ? new CustomInputReader() : undefined;
    const name = INPUT_EVENTS[kind];
    this.#head = name === undefined ? undefined : deltaHead(`${name}.delta`, this.#inputPlace());
  }

  open(): string {
    return this.#events.event("response.output_item.added", this.#fields("in_progress", ""));
  }

  addArguments(piece: string): string {
    return this.#addInput(this.#custom === undefined ? piece : this.#custom.push(piece));
  }

  close(status: ItemStatus): { readonly text: string; readonly item: JsonObject } {
    let text = this.#custom === undefined ? "" : this.#addInput(this.#custom.end());
    text += this.#delta(this.#growing.rest());
    if (this.#custom === undefined && this.#growing.text === "")
      text += this.#addInput(NO_ARGUMENTS);
    const input = this.#growing.text;
    const name = INPUT_EVENTS[this.#identity.tool.kind];
    if (name !== undefined) {
      const value = this.#custom === undefined ? { arguments: input } : { input };
      text += this.#events.event(`${name}.done`, { ...this.#inputPlace(), ...value });
    }
    const fields = this.#fields(status, input);
    text += this.#events.event("response.output_item.done", fields);
    return { text, item: fields.item };
  }

  #addInput(piece: string): string {
    return this.#delta(this.#growing.take(piece));
  }

  #delta(text: string): string {
    return text === "" || this.#head === undefined ? "" : this.#events.delta(this.#head, text);
  }

  #fields(status: ItemStatus, input: string): { output_index: number; item: JsonObject } {
    const item = callItem({ id: this.#place.id, status }, { ...this.#identity, input });
    return { output_index: this.#place.outputIndex, item };
  }

  #inputPlace(): JsonObject {
    return { item_id: this.#place.id, output_index: this.#place.outputIndex };
  }
}

/** Searches have no events for their input: the item is there at once, or not yet. */
const INPUT_EVENTS: Readonly<Record<ToolKind, string | undefined>> = {
  function: "response.function_call_arguments",
  custom: "response.custom_tool_call_input",
  tool_search: undefined,
};
