const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** Follows JSON text that comes in pieces, and tells when its object is complete, without keeping it. */
export class JsonBalance {
  #depth = 0;
  #hasBegun = false;
  #inString = false;
  #isEscaped = false;

  /** Whether an object or array has been opened. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get isComplete(): boolean {
    return this.#hasBegun && this.#depth === 0;
  }

  push(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (this.#inString) this.#pushInString(code);
      else if (code === QUOTE) this.#inString = true;
      else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
        this.#depth++;
        this.#hasBegun = true;
      } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) this.#depth--;
    }
  }

  #pushInString(code: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (code === BACKSLASH) this.#isEscaped = true;
    else if (code === QUOTE) this.#inString = false;
  }
}
