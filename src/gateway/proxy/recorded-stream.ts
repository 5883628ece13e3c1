import type { CortexError } from "../../base/errors.ts";
import { SSE_DONE, SseReader } from "../../base/sse.ts";
import { ChatChunkReader } from "../../translate/chat/chat-stream-reader.ts";
import { ChatChunkWriter } from "../../translate/chat/chat-stream-writer.ts";
import type { StreamTranslator } from "../../translate/dialects.ts";
import { readUpstreamErrorEvent } from "../../translate/errors/upstream-errors.ts";
import { JoinedStream } from "../../translate/stream/joined-stream.ts";
import type { Seam } from "../../translate/stream/seam.ts";
import { SentAnswer } from "../../translate/stream/sent-answer.ts";
import { readEventData } from "./preamble.ts";
import type { ClientWishes, StreamFinish, StreamRelay } from "./stream-relay.ts";
import { StreamTap } from "./stream-tap.ts";

/** So much of a stream waits to be read: most answers end before anything of them is parsed. */
const UNREAD_BYTES_MAX = 64 * 1024;
/** As neurons write it, at the beginning of an event. */
const ERROR_EVENT = Buffer.from('data: {"error":');
const LF = 10;

/**
 * A tapped chat stream that remembers what went to the client, for another neuron that may have to go on. An error
 * event of the neuron is held back for the same reason.
 */
export class RecordedStream implements StreamRelay {
  readonly #tap = new StreamTap();
  readonly #sent = new SentAnswer();
  readonly #events = new SseReader();
  readonly #reader = new ChatChunkReader();
  readonly #decoder = new TextDecoder();
  #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #error: CortexError | undefined;

  get atBoundary(): boolean {
    return this.#tap.atBoundary;
  }

  get tokens(): number {
    return this.#tap.tokens;
  }

  get sent(): SentAnswer {
    this.#read();
    return this.#sent;
  }

  push(bytes: Uint8Array): Uint8Array | undefined {
    if (this.#error !== undefined) return undefined;
    const ready = this.#tap.push(bytes);
    if (ready === undefined) return undefined;
    const passing = this.#stopAtError(ready);
    if (passing.length === 0) return undefined;
    this.#unread.push(passing);
    this.#unreadBytes += passing.length;
    if (this.#unreadBytes > UNREAD_BYTES_MAX) this.#read();
    return passing;
  }

  #stopAtError(ready: Uint8Array): Uint8Array {
    const events = Buffer.from(ready.buffer, ready.byteOffset, ready.byteLength);
    const at = events.indexOf(ERROR_EVENT);
    if (at < 0 || (at > 0 && events[at - 1] !== LF)) return ready;
    this.#error = readUpstreamErrorEvent(readEventData(events.subarray(at)));
    return ready.subarray(0, at);
  }

  #read(): void {
    const bytes = Buffer.concat(this.#unread);
    this.#unread = [];
    this.#unreadBytes = 0;
    try {
      const text = this.#decoder.decode(bytes, { stream: true });
      for (const event of this.#events.push(text)) {
        for (const chunk of this.#reader.push(event)) this.#sent.push(chunk);
      }
    } catch {
      // The client got an event that is too long or no chunk, which is no failure: only nobody can go on with it.
      this.#sent.giveUp();
    }
  }

  finish(): StreamFinish {
    const finish = this.#tap.finish();
    return this.#error === undefined ? finish : { ...finish, error: this.#error };
  }

  fail(): undefined {
    return undefined;
  }

  /** The end mark is all that is missing, unless the client wants the counts that were lost. */
  conclude({ includesUsage }: ClientWishes): StreamFinish | undefined {
    if (includesUsage && !this.sent.isCounted) return undefined;
    return { ending: "done", usage: undefined, text: SSE_DONE, error: undefined };
  }

  goOn(seam: Seam, { requestId, includesUsage }: ClientWishes): StreamTranslator {
    const begun = this.sent.head;
    if (begun === undefined) throw new Error("A stream that never began cannot be gone on with");
    const options = { requestId, model: begun.model, includesUsage, begun };
    const joined = new JoinedStream(new ChatChunkReader(), new ChatChunkWriter(options));
    joined.keepSent(this.#sent);
    joined.goOn(seam);
    return joined;
  }
}
