import { formatBytes } from "../../base/units.ts";
import type { Style } from "./style.ts";

/** How far something is. */
export interface Progress {
  /** What is under way, such as a file's name. */
  readonly label: string;
  readonly done: number;
  readonly total: number;
}

/** What its numbers are: bytes are told with their speed, a share is told with the time that has passed. */
export type ProgressUnit = "bytes" | "share";

/** Where progress is written; standard error outside tests. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A terminal's bar is drawn so often that it moves and no more. */
const DRAW_MS = 100;
/** A log gets a line for each step of this many percent. */
const LINE_PERCENT = 10;
/** Speed is an average over about this time. */
const SPEED_SPAN_MS = 5_000;
const BAR_WIDTH = 24;
/** Of a terminal that does not say, or says 0. */
const COLUMNS_DEFAULT = 80;
const ERASE_LINE = "\r\u001B[K";

/** Shows progress: one moving line on a terminal, now and then a line elsewhere. */
export class ProgressView {
  readonly #output: ProgressOutput;
  readonly #style: Style;
  readonly #nowMs: () => number;
  #shownMs = Number.NEGATIVE_INFINITY;
  #shownPercent = -1;
  #isDrawn = false;
  #sample: { readonly atMs: number; readonly bytes: number } | undefined;
  #speed: number | undefined;
  readonly #unit: ProgressUnit;
  #startedMs: number | undefined;

  constructor(options: {
    readonly output: ProgressOutput;
    readonly style: Style;
    readonly nowMs: () => number;
    readonly unit: ProgressUnit;
  }) {
    this.#output = options.output;
    this.#style = options.style;
    this.#nowMs = options.nowMs;
    this.#unit = options.unit;
  }

  /** A line of its own above the bar. */
  note(text: string): void {
    this.clear();
    this.#output.write(`${text}\n`);
  }

  show(progress: Progress): void {
    const atMs = this.#nowMs();
    this.#startedMs ??= atMs;
    const isEnd = progress.done >= progress.total;
    if (this.#output.isTTY === true) {
      if (atMs - this.#shownMs < DRAW_MS && !isEnd) return;
      this.#measure(atMs, progress.done);
      this.#shownMs = atMs;
      const columns = Math.max(20, (this.#output.columns || COLUMNS_DEFAULT) - 1);
      this.#output.write(ERASE_LINE + this.#line(progress, columns));
      this.#isDrawn = true;
      return;
    }
    const percent = percentOf(progress);
    const step = percent - (percent % LINE_PERCENT);
    if (step <= this.#shownPercent) return;
    this.#measure(atMs, progress.done);
    const isFirst = this.#shownPercent < 0;
    this.#shownPercent = step;
    if (!isFirst || step > 0) this.#output.write(`${this.#figures(progress)}\n`);
  }

  /** Takes the bar away; call at the end and before anything else is written. */
  clear(): void {
    if (this.#isDrawn) this.#output.write(ERASE_LINE);
    this.#isDrawn = false;
  }

  #line(progress: Progress, columns: number): string {
    const filled = Math.round((percentOf(progress) / 100) * BAR_WIDTH);
    const bar = `${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)}`;
    const figures = this.#figures(progress);
    const room = columns - BAR_WIDTH - figures.length - 3;
    const name =
      progress.label.length > room ? `…${progress.label.slice(-room + 1)}` : progress.label;
    if (room < 8) return figures.slice(0, columns);
    return `${this.#style.green(bar)}  ${figures} ${this.#style.dim(name)}`;
  }

  /** `43 %  1.2 GiB of 2.8 GiB  85 MiB/s  19 s left`, or `43 %  14 s  19 s left`. */
  #figures(progress: Progress): string {
    const { done, total } = progress;
    const isBytes = this.#unit === "bytes";
    const passedMs = this.#nowMs() - (this.#startedMs ?? this.#nowMs());
    const parts = [
      `${percentOf(progress)} %`,
      isBytes
        ? `${formatBytes(done)} of ${formatBytes(total)}`
        : formatSeconds(Math.floor(passedMs / 1000)),
    ];
    if (this.#speed !== undefined && this.#speed > 0) {
      if (isBytes) parts.push(`${formatBytes(this.#speed)}/s`);
      const leftSeconds = Math.ceil((total - done) / this.#speed);
      if (leftSeconds > 0) parts.push(`${formatSeconds(leftSeconds)} left`);
    }
    return parts.join("  ");
  }

  #measure(atMs: number, bytes: number): void {
    const before = this.#sample;
    this.#sample = { atMs, bytes };
    // The first sample has in it what an earlier run left.
    if (before === undefined || atMs <= before.atMs || bytes < before.bytes) return;
    const elapsedMs = atMs - before.atMs;
    const now = ((bytes - before.bytes) * 1000) / elapsedMs;
    const weight = Math.min(1, elapsedMs / SPEED_SPAN_MS);
    this.#speed = this.#speed === undefined ? now : this.#speed + weight * (now - this.#speed);
  }
}

function percentOf({ done, total }: Progress): number {
  return total === 0 ? 100 : Math.floor((done / total) * 100);
}

function formatSeconds(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
