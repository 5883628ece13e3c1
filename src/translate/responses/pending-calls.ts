import { CortexError } from "../../base/errors.ts";
import type { ChatToolCallDelta } from "../chat/types.ts";

/** More calls in one answer are a model that runs in circles. */
const CALLS_MAX = 4096;

/** A call as far as its deltas have come. */
export interface PendingCall {
  id: string;
  name: string;
  /** Arguments that were not taken yet. */
  buffered: string;
  state: "waiting" | "open" | "closed";
  readonly scan: JsonScan;
}

/**
 * The calls of one answer by their index. Only one item of a stream is open at a time, so that deltas of other calls
 * wait here, until the arguments of the open one are whole or the answer ends.
 */
export class PendingCalls {
  readonly #calls = new Map<number, PendingCall>();

  /** Takes a delta. Throws CortexError `neuron_failed` for more of a call that was whole. */
  take(delta: ChatToolCallDelta): void {
    const call = this.#ensure(delta.index);
    if (call.id === "" && delta.id !== undefined) call.id = delta.id;
    if (call.name === "" && delta.function?.name !== undefined) call.name = delta.function.name;
    const piece = delta.function?.arguments ?? "";
    if (piece === "") return;
    if (call.state !== "closed") {
      call.buffered += piece;
      call.scan.push(piece);
    } else if (piece.trim() !== "") {
      throw new CortexError(
        "neuron_failed",
        `Arguments of call ${delta.index} go on after their end`,
      );
    }
  }

  /** The next call to open: one with a name and an id, or any that is left once the answer is over. */
  next(isOver: boolean): PendingCall | undefined {
    for (const call of this.#calls.values()) {
      if (call.state !== "waiting") continue;
      return isOver || (call.name !== "" && call.id !== "") ? call : undefined;
    }
    return undefined;
  }

  get hasWaiting(): boolean {
    return this.#some((call) => call.state === "waiting");
  }

  /** Whether more arguments may come for a call. */
  get areUnfinished(): boolean {
    return this.#some((call) => call.state !== "closed" && !call.scan.isWhole);
  }

  #some(test: (call: PendingCall) => boolean): boolean {
    for (const call of this.#calls.values()) if (test(call)) return true;
    return false;
  }

  #ensure(index: number): PendingCall {
    const known = this.#calls.get(index);
    if (known !== undefined) return known;
    if (this.#calls.size >= CALLS_MAX) {
      throw new CortexError("neuron_failed", `More than ${CALLS_MAX} tool calls in one answer`);
    }
    const call: PendingCall = {
      id: "",
      name: "",
      buffered: "",
      state: "waiting",
      scan: new JsonScan(),
    };
    this.#calls.set(index, call);
    return call;
  }
}

/** Follows the brackets of JSON text in pieces, to see where an object ends. What begins as none never ends. */
export class JsonScan {
  #hasBegun = false;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isWhole = false;

  /** Whether an object has begun and ended. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  push(piece: string): void {
    const text = this.#hasBegun ? piece : piece.trimStart();
    if (text === "") return;
    if (!this.#hasBegun && text[0] !== "{") this.#depth = Number.POSITIVE_INFINITY;
    this.#hasBegun = true;
    this.#follow(text);
  }

  #follow(piece: string): void {
    for (let index = 0; index < piece.length && !this.#isWhole; index++) {
      const character = piece[index];
      if (this.#isEscaped) this.#isEscaped = false;
      else if (this.#isInString) this.#readInString(character);
      else this.#readOutside(character);
    }
  }

  #readInString(character: string | undefined): void {
    if (character === "\\") this.#isEscaped = true;
    else if (character === '"') this.#isInString = false;
  }

  #readOutside(character: string | undefined): void {
    if (character === '"') this.#isInString = true;
    else if (character === "{" || character === "[") this.#depth++;
    else if (character === "}" || character === "]") {
      this.#depth--;
      this.#isWhole = this.#depth <= 0;
    }
  }
}
