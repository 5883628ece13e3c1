import { createConsola } from "consola/core";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Writes one line per event: text first, then `key=value` fields that an operator can search for. */
export interface Log {
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
  /** A log whose every line carries these fields. */
  child(fields: LogFields): Log;
}

/** A log whose least severity can be changed while it is used, for all its children. */
export interface LeveledLog extends Log {
  setLevel(level: LogLevel): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

const CONSOLA_LEVELS: Record<LogLevel, number> = { error: 0, warn: 1, info: 3, debug: 4 };

/** ANSI: red, yellow, cyan, grey. */
const LEVEL_COLORS: Readonly<Record<string, string>> = {
  error: "\u001b[31m",
  warn: "\u001b[33m",
  info: "\u001b[36m",
  debug: "\u001b[90m",
};

/**
 * A log on standard error: `time LEVEL text key=value`, one line per event. The level is coloured only on a terminal
 * and without NO_COLOR.
 */
export function createLog(level: LogLevel = "info"): LeveledLog {
  const colors = process.stderr.isTTY === true && !process.env["NO_COLOR"];
  const sink = createConsola({
    level: CONSOLA_LEVELS[level],
    reporters: [
      {
        log: ({ date, type, args }) => {
          const label = type.toUpperCase().padEnd(5);
          const shown = colors ? `${LEVEL_COLORS[type] ?? ""}${label}\u001b[0m` : label;
          process.stderr.write(`${date.toISOString()} ${shown} ${args.join(" ")}\n`);
        },
      },
    ],
  });
  const setLevel = (next: LogLevel) => {
    sink.level = CONSOLA_LEVELS[next];
  };
  return { ...bind(sink, {}), setLevel };
}

/** A log that keeps nothing; for tests and probes. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};

type Sink = Pick<ReturnType<typeof createConsola>, "debug" | "info" | "warn" | "error">;

function bind(sink: Sink, bound: LogFields): Log {
  const line = (text: string, fields?: LogFields) =>
    `${text}${formatFields({ ...bound, ...fields })}`;
  return {
    debug: (text, fields) => sink.debug(line(text, fields)),
    info: (text, fields) => sink.info(line(text, fields)),
    warn: (text, fields) => sink.warn(line(text, fields)),
    error: (text, fields) => sink.error(line(text, fields)),
    child: (fields) => bind(sink, { ...bound, ...fields }),
  };
}

function formatFields(fields: LogFields): string {
  let out = "";
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const text = typeof value === "string" && /[\s"=]/.test(value) ? JSON.stringify(value) : value;
    out += ` ${key}=${text}`;
  }
  return out;
}
