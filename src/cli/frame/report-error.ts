import { CortexError, describeError, type ErrorCode } from "../../base/errors.ts";
import type { Style } from "./style.ts";

/** What to type next when the error itself does not say. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  invalid_config:
    "correct what is named above; --check instead of a start says whether it is right",
  model_not_found: "cortex models",
  request_not_found: "cortex explain MODEL, which lists its last requests",
  does_not_fit: "cortex status, then cortex unload MODEL, or a smaller --context",
  unavailable: "cortex status",
  neuron_failed: "cortex status",
  model_poisoned: "cortex unload MODEL, then cortex load MODEL",
  load_failed: "cortex logs --neuron NAME --level warn",
  timeout: "the same again with a longer --timeout",
  conflict: "cortex status",
  forbidden: "run it on the gateway's own machine",
  unauthorized: "check the token in the environment",
};

/**
 * What failed, why, and what to type next: three lines, and one more for each error of a configuration. `help` is the
 * line to type for an error of the command line.
 */
export function formatError(thrown: unknown, style: Style, help = "cortex --help"): string {
  const { what, why, next } = explain(thrown, help);
  return [
    `${style.red("cortex:")} ${what}`,
    ...why.map((line, index) => `${index === 0 ? "  why: " : "       "}${line}`),
    `  try: ${next}`,
    "",
  ].join("\n");
}

interface Explanation {
  readonly what: string;
  readonly why: readonly string[];
  readonly next: string;
}

function explain(thrown: unknown, help: string): Explanation {
  if (isSystemError(thrown)) {
    return {
      what: `Cannot ${thrown.syscall}${thrown.path === undefined ? "" : ` ${thrown.path}`}`,
      why: [thrown.message],
      next: `ls -ld ${thrown.path ?? "the files that it names"}`,
    };
  }
  if (!(thrown instanceof CortexError)) {
    const stack = thrown instanceof Error ? (thrown.stack ?? "").split("\n").slice(1, 4) : [];
    return {
      what: `Bug in cortex: ${describeError(thrown)}`,
      why: stack.length === 0 ? ["unexpected"] : stack.map((line) => line.trim()),
      next: "report these lines, with the command that you typed",
    };
  }
  const usual = thrown.code === "usage" ? help : HINTS[thrown.code];
  const next = thrown.hint ?? usual ?? "cortex status";
  const [first = "", ...more] = thrown.message.split("\n");
  if (more.length > 0) return { what: first, why: more, next };
  if (thrown.cause !== undefined) {
    return { what: first, why: [describeError(thrown.cause)], next };
  }
  // Messages are "what: why" where they have a reason at all.
  const colon = first.indexOf(": ");
  if (colon > 0) return { what: first.slice(0, colon), why: [first.slice(colon + 2)], next };
  return { what: first, why: [thrown.code.replaceAll("_", " ")], next };
}

/** A file or a folder that the operating system refused is no bug. */
function isSystemError(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && "syscall" in thrown && "code" in thrown;
}
