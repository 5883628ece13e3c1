import { CortexError } from "../base/errors.ts";
import { findNearest } from "../base/nearest.ts";
import { COMMAND_OUTPUT_NAMES, publishCommandSchema } from "../protocol/command-schemas.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";

/** `cortex schema [COMMAND]`: what --json prints, for programs that read it. */
export const schemaCommand = defineCliCommand({
  name: "schema",
  summary: "Print the JSON Schema of what a command prints with --json",
  details: [
    "Without COMMAND it prints every command's, by name. With --json a command prints one line that begins with\n" +
      "schema_version and command; what follows changes goes on printing such lines (status --watch, top, events, logs).",
    "Fields are only ever added while schema_version stays the same. Errors are text on standard error, with an exit\n" +
      "code of --help, in this mode too; standard output is then empty, or ends with the last whole line.",
    "The package has the same schemas in /usr/share/cortex/schemas.",
  ],
  args: {
    command: { type: "positional", required: false, description: "such as status" },
    second: { type: "positional", required: false, description: "the second word of config show" },
  },
  choices: {
    command: [...new Set(COMMAND_OUTPUT_NAMES.map((name) => name.split(" ")[0] ?? name))],
    second: COMMAND_OUTPUT_NAMES.flatMap((name) => name.split(" ").slice(1)),
  },
  examples: ["schema status", "schema config show", "schema > cortex-schemas.json"],
  exits: ["usage"],
  run: async ({ command, second }) => {
    const wanted = [command, second].filter((word) => word !== undefined).join(" ");
    process.stdout.write(
      `${JSON.stringify(wanted === "" ? listAll() : getOne(wanted), null, 2)}\n`,
    );
    return EXIT.ok;
  },
});

function listAll(): object {
  return Object.fromEntries(COMMAND_OUTPUT_NAMES.map((name) => [name, publishCommandSchema(name)]));
}

function getOne(wanted: string): object {
  const name = COMMAND_OUTPUT_NAMES.find((one) => one === wanted);
  if (name !== undefined) return publishCommandSchema(name);
  const names = COMMAND_OUTPUT_NAMES.join(", ");
  const near = findNearest(wanted, COMMAND_OUTPUT_NAMES);
  throw new CortexError("usage", `No command ${wanted} prints JSON: ${names} do`, {
    hint: near === undefined ? "cortex schema --help" : `cortex schema ${near}`,
  });
}
