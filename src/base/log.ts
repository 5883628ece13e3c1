import { fstatSync } from "node:fs";
import { createConsola } from "consola/core";
import { systemClock } from "./clock.ts";
import { LineBuffer } from "./line-buffer.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** `text` is for people, `json` has one object in each line. */
export type LogFormat = "text" | "json";

/** Writes one line per event: text first, then `key=value` fields that an operator can search for. */
export interface Log {
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
  /**
   * What happens with every request. Its line may come a moment later than others, and is dropped where nobody reads
   * the log fast enough. Fields are only asked for when the line is written.
   */
  frequent(level: LogLevel, text: string, readFields: () => LogFields): void;
  /** A log whose every line carries these fields. */
  child(fields: LogFields): Log;
}

/** A log whose least severity can be changed while it is used, for all its children. */
export interface LeveledLog extends Log {
  setLevel(level: LogLevel): void;
  /** Resolves when frequent lines are written, or after a second. */
  flush(): Promise<void>;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

const CONSOLA_LEVELS: Record<LogLevel, number> = { error: 0, warn: 1, info: 3, debug: 4 };

/** As syslog and the journal number them. */
const PRIORITIES: Readonly<Record<string, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

/** ANSI: red, yellow, cyan, grey. */
const LEVEL_COLORS: Readonly<Record<string, string>> = {
  error: "\u001b[31m",
  warn: "\u001b[33m",
  info: "\u001b[36m",
  debug: "\u001b[90m",
};

/**
 * A log on standard error: `time LEVEL text key=value`, or a JSON object, one line per event. The level is coloured
 * only on a terminal and without NO_COLOR. Where standard error is the journal, lines begin with their priority as
 * `<6>`, and text lines leave out the time, which the journal has.
 */
export function createLog(
  level: LogLevel = "info",
  options: { readonly format?: LogFormat } = {},
): LeveledLog {
  const { format = "text" } = options;
  const isJournal = isJournalStream(process.env["JOURNAL_STREAM"]);
  const colors = process.stderr.isTTY === true && !process.env["NO_COLOR"];
  const timeOf = createTimeFormat();
  const prefixOf = (type: string) =>
    isJournal ? `<${PRIORITIES[type] ?? PRIORITIES["info"]}>` : "";
  const labels = new Map<string, string>();
  const labelOf = (type: string) => {
    let label = labels.get(type);
    if (label === undefined) {
      const word = type.toUpperCase().padEnd(5);
      label = colors ? `${LEVEL_COLORS[type] ?? ""}${word}\u001b[0m` : word;
      labels.set(type, label);
    }
    return label;
  };
  const finish = (nowMs: number, type: string, line: string, note = "") => {
    if (format === "json") return prefixOf(type) + finishJson(timeOf(nowMs), type, { line, note });
    const time = isJournal ? "" : `${timeOf(nowMs)} `;
    return `${prefixOf(type)}${time}${labelOf(type)} ${line}${note === "" ? "" : ` ${note}`}`;
  };
  const consola = createConsola({
    level: CONSOLA_LEVELS[level],
    reporters: [
      {
        log: ({ date, type, args }) => {
          const [line = "", ...note] = args as string[];
          process.stderr.write(`${finish(date.getTime(), type, line, note.join(" "))}\n`);
        },
      },
    ],
  });
  const buffer = new LineBuffer(
    {
      write: writeStderr,
      onDropping: (cause) => log.warn("Lines of the log are dropped", { cause }),
      onWritten: (dropped) => log.warn("Lines of the log were dropped", { dropped }),
    },
    systemClock,
  );
  const frequent = (type: LogLevel, readLine: () => string) => {
    if (CONSOLA_LEVELS[type] <= consola.level) buffer.add(finish(Date.now(), type, readLine()));
  };
  const log = bind({ consola, frequent, format: FORMATS[format] }, {});
  const setLevel = (next: LogLevel) => {
    consola.level = CONSOLA_LEVELS[next];
  };
  return { ...log, setLevel, flush: () => buffer.flush() };
}

/** A log that keeps nothing; for tests and probes. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  frequent: () => undefined,
  child: () => silentLog,
};

interface Sink {
  readonly consola: Pick<ReturnType<typeof createConsola>, "debug" | "info" | "warn" | "error">;
  readonly frequent: (level: LogLevel, readLine: () => string) => void;
  readonly format: (text: string, fields: LogFields) => string;
}

function bind(sink: Sink, bound: LogFields): Log {
  const { consola, frequent, format } = sink;
  const isPlain = Object.keys(bound).length === 0;
  const line = (text: string, fields: LogFields = {}) =>
    format(text, isPlain ? fields : { ...bound, ...fields });
  return {
    debug: (text, fields) => consola.debug(line(text, fields)),
    info: (text, fields) => consola.info(line(text, fields)),
    warn: (text, fields) => consola.warn(line(text, fields)),
    error: (text, fields) => consola.error(line(text, fields)),
    frequent: (level, text, readFields) => frequent(level, () => line(text, readFields())),
    child: (fields) => bind(sink, { ...bound, ...fields }),
  };
}

/** A line without its time and level. */
const FORMATS: Record<LogFormat, Sink["format"]> = { text: formatText, json: formatJson };

function formatText(text: string, fields: LogFields): string {
  let out = text;
  // A list of entries for each line took more than half of the time of a line.
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined) continue;
    out += ` ${key}=${typeof value === "string" && hasGap(value) ? JSON.stringify(value) : value}`;
  }
  return out;
}

const [BLANK, QUOTE, EQUALS, DELETE] = [32, 34, 61, 127];

/** Whether a reader would not see where the value ends. */
function hasGap(value: string): boolean {
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index);
    if (code <= BLANK || code === QUOTE || code === EQUALS) return true;
    if (code >= DELETE) return /[\s"=]/.test(value);
  }
  return false;
}

/** The members of the line's object behind its time and level. */
function formatJson(text: string, fields: LogFields): string {
  return JSON.stringify({ message: text, ...fields }).slice(1, -1);
}

/** `line` holds its members; `note` says how often one came that was not repeated. */
function finishJson(
  time: string,
  type: string,
  { line, note }: { readonly line: string; readonly note: string },
): string {
  const last = note === "" ? "" : `,"note":${JSON.stringify(note)}`;
  return `{"time":"${time}","level":"${type}",${line}${last}}`;
}

/** Writes times as ISO 8601; what many lines have in common is made once in a second. */
function createTimeFormat(): (nowMs: number) => string {
  let second = Number.NaN;
  let start = "";
  return (nowMs) => {
    const nowSecond = Math.floor(nowMs / 1_000);
    if (nowSecond !== second) {
      second = nowSecond;
      start = new Date(nowSecond * 1_000).toISOString().slice(0, -"000Z".length);
    }
    // A leading digit keeps the zeros before the milliseconds.
    return `${start}${(1_000 + nowMs - nowSecond * 1_000).toString().slice(1)}Z`;
  };
}

/** Whether standard error is the journal's stream, which systemd names by device and inode. */
function isJournalStream(named: string | undefined): boolean {
  if (named === undefined) return false;
  const { dev, ino } = fstatSync(2);
  return named === `${dev}:${ino}`;
}

function writeStderr(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stderr.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
