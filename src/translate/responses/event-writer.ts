import { formatSseEvent } from "../../base/sse.ts";
import type { JsonObject } from "../chat/types.ts";

/** Writes the events of one stream and numbers them. */
export class EventWriter {
  #sequence = 0;

  event(type: string, fields: JsonObject): string {
    return formatSseEvent(type, { type, ...fields, sequence_number: this.#sequence++ });
  }

  /** A piece of text; everything but the piece was written before, by {@link deltaHead}. */
  delta(head: string, piece: string): string {
    return `${head}${JSON.stringify(piece)},"sequence_number":${this.#sequence++}}\n\n`;
  }
}

/** The beginning of every delta event of one part. */
export function deltaHead(type: string, fields: JsonObject): string {
  const json = JSON.stringify({ type, ...fields });
  return `event: ${type}\ndata: ${json.slice(0, -1)},"delta":`;
}

/**
 * Text that comes in pieces. A piece that ends in the middle of a character beyond the basic plane gives its half up
 * with the next one: strict JSON parsers refuse a lone half.
 */
export class GrowingText {
  #text = "";
  #half = "";

  get text(): string {
    return this.#text;
  }

  /** Takes a piece and returns what can be sent of it. */
  take(piece: string): string {
    let whole = this.#half === "" ? piece : this.#half + piece;
    this.#half = "";
    if ((whole.charCodeAt(whole.length - 1) & 0xfc00) === 0xd800) {
      this.#half = whole.slice(-1);
      whole = whole.slice(0, -1);
    }
    this.#text += whole;
    return whole;
  }

  /** A half that stayed alone. */
  rest(): string {
    const half = this.#half;
    this.#half = "";
    this.#text += half;
    return half;
  }
}
