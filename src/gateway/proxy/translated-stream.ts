import type { CortexError } from "../../base/errors.ts";
import type { StreamTranslator } from "../../translate/dialects.ts";
import type { StreamFinish, StreamRelay } from "./stream-relay.ts";
import { toUsage } from "./usage.ts";

/** A stream that changes its dialect on the way. */
export class TranslatedStream implements StreamRelay {
  readonly #translator: StreamTranslator;
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
    return text === "" ? undefined : text;
  }

  finish(): StreamFinish {
    const { text, ending, error } = this.#translator.end();
    const { usage, finalResponse } = this.#translator;
    return { text, ending, error, usage: toUsage(usage), finalResponse };
  }

  fail(error: CortexError): string {
    return this.#translator.fail(error);
  }
}
