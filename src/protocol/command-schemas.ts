import {
  COMMAND_OUTPUT_VERSION,
  COMMAND_OUTPUTS,
  type CommandName,
  commandOutputSchema,
} from "./command-output.ts";

/** Every command that has --json. */
export const COMMAND_OUTPUT_NAMES = Object.keys(COMMAND_OUTPUTS) as CommandName[];

/**
 * The JSON Schema (2020-12) of one line that a command prints with --json. Fields that it does not name may come with
 * a later version.
 */
export function publishCommandSchema(name: CommandName): object {
  const { allOf } = commandOutputSchema(name);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: `urn:cortex:command-output:${COMMAND_OUTPUT_VERSION}:${name.replaceAll(" ", "-")}`,
    title: `What cortex ${name} --json prints on one line`,
    type: "object",
    properties: { command: { const: name } },
    allOf,
  };
}
