import { CortexError } from "../../base/errors.ts";
import { type SseEvent, SseReader } from "../../base/sse.ts";
import { ChatChunkReader } from "../chat/chat-stream-reader.ts";
import type { ChatChunk, ChatUsage, JsonObject } from "../chat/types.ts";
import type { ChatStreamReader, ChatStreamWriter, StreamTranslator } from "../dialects.ts";
import type { Seam } from "./seam.ts";
import { SentAnswer } from "./sent-answer.ts";

/** A writer; that of the Responses dialect also tells the object that its last event carried. */
export type StreamWriter = ChatStreamWriter & { readonly finalResponse?: JsonObject | undefined };

/** An upstream's reader and a client's writer, joined. */
export class JoinedStream implements StreamTranslator {
  #decoder = new TextDecoder();
  #events = new SseReader();
  #reader: ChatStreamReader;
  readonly #writer: StreamWriter;
  #sent: SentAnswer | undefined;
  #seam: Seam | undefined;
  #usage: ChatUsage | undefined;
  #contentChunks = 0;
  #hasFinished = false;
  #isClosed = false;
  /** What broke the stream, while what came before it is still on its way to the client. */
  #broken: CortexError | undefined;

  constructor(reader: ChatStreamReader, writer: StreamWriter) {
    this.#reader = reader;
    this.#writer = writer;
  }

  get usage(): ChatUsage | undefined {
    return this.#usage;
  }

  get contentChunks(): number {
    return this.#contentChunks;
  }

  get finalResponse(): JsonObject | undefined {
    return this.#writer.finalResponse;
  }

  get sent(): SentAnswer | undefined {
    return this.#sent;
  }

  keepSent(sent = new SentAnswer()): void {
    this.#sent = sent;
  }

  goOn(seam: Seam): void {
    this.#decoder = new TextDecoder();
    this.#events = new SseReader();
    this.#reader = new ChatChunkReader();
    this.#broken = undefined;
    this.#seam = seam;
  }

  /** Throws CortexError `neuron_failed`; what was written before the failure is returned first. */
  push(bytes: Uint8Array): string {
    if (this.#broken !== undefined) throw this.#broken;
    return this.#pushText(this.#decoder.decode(bytes, { stream: true }));
  }

  end(): ReturnType<StreamTranslator["end"]> {
    if (this.#broken !== undefined) return { text: "", ending: "error", error: this.#broken };
    let text = this.#pushText(this.#decoder.decode());
    const last = this.#events.end();
    if (last !== undefined && this.#reader.ending === "open") text += this.#pushLast(last);
    if (this.#reader.ending === "error") {
      const { error } = this.#reader;
      return { text, ending: "error", ...(error === undefined ? {} : { error }) };
    }
    // Some servers leave the end mark out; the reason for the end says as much.
    if (this.#reader.ending === "open" && !this.#hasFinished) return { text, ending: "cut" };
    return { text: text + this.#close(), ending: "done" };
  }

  fail(error: CortexError): string {
    if (this.#isClosed) return "";
    this.#isClosed = true;
    return this.#writer.fail(error);
  }

  #pushText(text: string): string {
    if (text === "") return "";
    let written = "";
    for (const event of this.#readEvents(text)) {
      try {
        written += this.#pushEvent(event);
      } catch (thrown) {
        if (written === "" || !(thrown instanceof CortexError)) throw thrown;
        this.#broken = thrown;
        break;
      }
    }
    return written;
  }

  #readEvents(text: string): readonly SseEvent[] {
    try {
      return this.#events.push(text);
    } catch (thrown) {
      throw new CortexError("neuron_failed", "Upstream sent an event beyond all limits", {
        cause: thrown,
      });
    }
  }

  #pushEvent(event: SseEvent): string {
    if (this.#isClosed) return "";
    let written = "";
    for (const read of this.#reader.push(event)) {
      const chunk = this.#seam === undefined ? read : this.#seam.join(read);
      if (chunk === undefined) continue;
      this.#note(chunk);
      written += this.#writer.push(chunk);
    }
    return this.#reader.ending === "done" ? written + this.#close() : written;
  }

  /** What is left when the peer closes is mostly half an event: that is a cut and no event of a wrong dialect. */
  #pushLast(event: SseEvent): string {
    try {
      return this.#pushEvent(event);
    } catch (thrown) {
      if (thrown instanceof CortexError) return "";
      throw thrown;
    }
  }

  #note(chunk: ChatChunk): void {
    this.#sent?.push(chunk);
    const { choices, usage } = chunk;
    if (usage !== undefined && usage !== null) this.#usage = usage;
    const choice = choices[0];
    if (choice === undefined) return;
    if (typeof choice.finish_reason === "string") this.#hasFinished = true;
    const { content, reasoning_content: reasoning, refusal, tool_calls: calls } = choice.delta;
    const isCall = calls !== undefined && calls !== null && calls.length > 0;
    if (content || reasoning || refusal || isCall) this.#contentChunks++;
  }

  #close(): string {
    if (this.#isClosed) return "";
    // A writer that cannot end must still be able to fail.
    const text = this.#writer.end();
    this.#isClosed = true;
    return text;
  }
}
