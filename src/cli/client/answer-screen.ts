import { toPlainText } from "../frame/plain-text.ts";
import { styleFor } from "../frame/style.ts";

/**
 * Shows an answer as it comes. On a terminal a model's thoughts go to standard error, dimmed, so that a thinking model
 * does not look hung; and control characters are taken out, with which text could move the cursor or retitle the
 * window.
 * What goes into a pipe stays as the model wrote it.
 */
export class AnswerScreen {
  readonly #isTerminal = process.stdout.isTTY === true;
  readonly #showsThoughts = process.stderr.isTTY === true;
  #hasThought = false;

  writeText(text: string): void {
    if (this.#hasThought) process.stderr.write("\n\n");
    this.#hasThought = false;
    process.stdout.write(this.#isTerminal ? toPlainText(text) : text);
  }

  writeThought(text: string): void {
    if (!this.#showsThoughts) return;
    this.#hasThought = true;
    process.stderr.write(styleFor(process.stderr).dim(toPlainText(text)));
  }
}
