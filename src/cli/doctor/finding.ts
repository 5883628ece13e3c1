import type { Static } from "@sinclair/typebox";
import type { FindingSchema } from "../../protocol/findings.ts";

/** One line of `cortex doctor`. */
export type Finding = Static<typeof FindingSchema>;

/** What is as it should be. */
export function fine(check: string, text: string): Finding {
  return { check, state: "ok", text };
}

/** What does not apply here, or cannot be told from here. */
export function skipped(check: string, text: string): Finding {
  return { check, state: "skipped", text };
}

/** What is wrong, and the command that mends it or shows more. */
export function problem(check: string, text: string, mend: string): Finding {
  return { check, state: "problem", text, mend };
}

/** A word of a command line, in quotes where a shell needs them. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
