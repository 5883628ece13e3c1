import type { Reply, ReplyEvents } from "../listener/reply.ts";

/** What may wait for a reader that does not read; then it is dropped, and begins anew. */
const UNREAD_CHARACTERS_MAX = 2 * 1024 * 1024;

/** One client that follows a stream of ours. One that stops reading is cut off, before it fills the memory. */
export class FeedReader implements ReplyEvents {
  readonly #reply: Reply;
  readonly #onGone: () => void;
  #isPaused = false;
  #unread = 0;

  constructor(reply: Reply, onGone: () => void) {
    this.#reply = reply;
    this.#onGone = onGone;
  }

  write(text: string): void {
    if (this.#isPaused) {
      this.#unread += text.length;
      if (this.#unread > UNREAD_CHARACTERS_MAX) {
        this.#onGone();
        this.#reply.break();
        return;
      }
    }
    this.#reply.write(text);
  }

  end(): void {
    this.#reply.end();
  }

  onPause(): void {
    this.#isPaused = true;
  }

  onResume(): void {
    this.#isPaused = false;
    this.#unread = 0;
  }

  onGone(): void {
    this.#onGone();
  }
}
