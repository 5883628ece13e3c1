import { createConsola } from "consola";

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

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

const CONSOLA_LEVELS: Record<LogLevel, number> = { error: 0, warn: 1, info: 3, debug: 4 };

/** A log on standard error. Colours only on a terminal and without NO_COLOR. */
export function createLog(level: LogLevel = "info"): Log {
  const colors = process.stderr.isTTY === true && !process.env["NO_COLOR"];
  const sink = createConsola({
    level: CONSOLA_LEVELS[level],
    stdout: process.stderr,
    stderr: process.stderr,
    formatOptions: { colors, date: true, compact: true },
  });
  return bind(sink, {});
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
