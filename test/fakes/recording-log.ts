import type { Log } from "../../src/base/log.ts";

/** A log that keeps its lines. */
export class RecordingLog implements Log {
  readonly lines: { level: string; text: string; fields: Record<string, unknown> }[] = [];
  debug = this.#writer("debug");
  info = this.#writer("info");
  warn = this.#writer("warn");
  error = this.#writer("error");
  frequent = (level: string, text: string, readFields: () => Record<string, unknown>) => {
    this.lines.push({ level, text, fields: readFields() });
  };
  child = () => this;

  has(text: string, fields: Record<string, unknown> = {}): boolean {
    return this.lines.some(
      (line) =>
        line.text === text &&
        Object.entries(fields).every(([key, value]) => line.fields[key] === value),
    );
  }

  #writer(level: string) {
    return (text: string, fields: Record<string, unknown> = {}) => {
      this.lines.push({ level, text, fields });
    };
  }
}
