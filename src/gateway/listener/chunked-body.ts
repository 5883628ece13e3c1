import { CortexError } from "../../base/errors.ts";

type State = "size" | "data" | "data_end" | "trailer" | "done";

const CR = 13;
const LF = 10;
/** Sixteen digits and a short extension. */
const LINE_BYTES_MAX = 256;
/** Trailers are dropped; this bounds how long they may go on. */
const TRAILER_BYTES_MAX = 8 * 1024;

/**
 * Takes the frames off a chunked request body. Strict: a size line of hexadecimal digits, an optional extension, CRLF.
 * Throws `invalid_request` for anything else.
 */
export class ChunkedBody {
  #state: State = "size";
  #line = "";
  #remaining = 0;
  #trailerBytes = 0;

  get done(): boolean {
    return this.#state === "done";
  }

  /** Takes bytes and returns how many belonged to the body; `emit` gets its content. */
  push(bytes: Buffer, emit: (content: Buffer) => void): number {
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "data") {
        const end = Math.min(bytes.length, at + this.#remaining);
        emit(bytes.subarray(at, end));
        this.#remaining -= end - at;
        at = end;
        if (this.#remaining === 0) this.#state = "data_end";
      } else {
        this.#takeByte(bytes[at] as number);
        at += 1;
      }
    }
    return at;
  }

  #takeByte(byte: number): void {
    if (byte !== LF) {
      this.#line += String.fromCharCode(byte);
      if (this.#state === "trailer") this.#trailerBytes += 1;
      else if (this.#line.length > LINE_BYTES_MAX) throw malformed();
      if (this.#trailerBytes > TRAILER_BYTES_MAX) throw malformed();
      return;
    }
    if (this.#line.charCodeAt(this.#line.length - 1) !== CR) throw malformed();
    const line = this.#line.slice(0, -1);
    this.#line = "";
    if (this.#state === "size") {
      const match = /^([0-9a-fA-F]{1,12})[ \t]*(;[^\r]*)?$/.exec(line);
      if (match === null) throw malformed();
      this.#remaining = Number.parseInt(match[1] as string, 16);
      this.#state = this.#remaining === 0 ? "trailer" : "data";
    } else if (this.#state === "data_end") {
      if (line !== "") throw malformed();
      this.#state = "size";
    } else if (line === "") this.#state = "done";
  }
}

function malformed(): CortexError {
  return new CortexError("invalid_request", "Malformed HTTP request: chunked body");
}
