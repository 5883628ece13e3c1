import type { CortexError } from "../../base/errors.ts";
import type { StreamTranslator } from "../../translate/dialects.ts";
import type { Seam } from "../../translate/stream/seam.ts";
import type { SentAnswer } from "../../translate/stream/sent-answer.ts";
import type { StreamFinish, StreamRelay } from "./stream-relay.ts";
import { toUsage } from "./usage.ts";

/** What opens an answer in any dialect is below 2 KiB but for a response's, which repeats its tools; in characters. */
const PREAMBLE_CHARACTERS_MAX = 1024 * 1024;

/** A stream that changes its dialect on the way. What opens the answer is held back until its first token has come. */
export class TranslatedStream implements StreamRelay {
  readonly #translator: StreamTranslator;
  #preamble = "";
  #begun = false;
  /** A translator writes whole events only. */
  readonly atBoundary = true;

  constructor(translator: StreamTranslator) {
    this.#translator = translator;
  }

  get tokens(): number {
    return this.#translator.contentChunks;
  }

  push(bytes: Uint8Array): string | undefined {
    const text = this.#translator.push(bytes);
    if (text === "" || this.#begun) return text === "" ? undefined : text;
    this.#preamble += text;
    this.#begun =
      this.#translator.contentChunks > 0 || this.#preamble.length > PREAMBLE_CHARACTERS_MAX;
    return this.#begun ? this.#takePreamble() : undefined;
  }

  finish(): StreamFinish {
    const { text, ending, error } = this.#translator.end();
    const { usage, finalResponse } = this.#translator;
    const said = ending === "done" ? this.#takePreamble() + text : text;
    return { text: said, ending, error, usage: toUsage(usage), finalResponse };
  }

  fail(error: CortexError): string {
    return this.#takePreamble() + this.#translator.fail(error);
  }

  get sent(): SentAnswer | undefined {
    return this.#translator.sent;
  }

  /** A translator knows an end by its reason, too. */
  conclude(): StreamFinish | undefined {
    const finish = this.finish();
    return finish.ending === "done" ? finish : undefined;
  }

  goOn(seam: Seam): StreamTranslator {
    this.#translator.goOn(seam);
    return this.#translator;
  }

  #takePreamble(): string {
    const preamble = this.#preamble;
    this.#preamble = "";
    return preamble;
  }
}
