import type { Static } from "@sinclair/typebox";
import {
  COMMAND_OUTPUT_VERSION,
  type COMMAND_OUTPUTS,
  type CommandName,
} from "../../protocol/command-output.ts";

/** How an answer is wanted; the flags of the same names. */
export interface PrintFlags {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
}

/**
 * Writes a command's answer to standard output: text, which ends its own lines, or one line of JSON in the envelope.
 * With --quiet only JSON is written, where that was asked for.
 */
export function printAnswer<Name extends CommandName>(
  command: Name,
  flags: PrintFlags,
  answer: { readonly data: Static<(typeof COMMAND_OUTPUTS)[Name]>; readonly text: string },
): void {
  if (flags.json === true) process.stdout.write(formatEnvelope(command, answer.data));
  else if (flags.quiet !== true) process.stdout.write(answer.text);
}

function formatEnvelope(command: CommandName, data: object): string {
  return `${JSON.stringify({ schema_version: COMMAND_OUTPUT_VERSION, command, ...data })}\n`;
}
