import { CortexError } from "../../base/errors.ts";
import { findNearest } from "../../base/nearest.ts";
import { type CliCommand, defineCliCommand } from "../frame/cli-command.ts";

/** `cortex config` without one of its commands: says which there are. */
export function configCommand(commands: readonly CliCommand[]): CliCommand {
  const names = commands.map(({ name }) => name.split(" ")[1] ?? name);
  return defineCliCommand({
    name: "config",
    hidden: true,
    summary: "Write, check, show and compare configuration files",
    details: commands.map(({ name, summary }) => `cortex ${name}: ${summary}`),
    args: {
      command: { type: "positional", required: false, description: names.join(", ") },
    },
    examples: commands.flatMap(({ examples }) => examples.slice(0, 1)),
    exits: ["usage"],
    run: async ({ command }) => {
      const near = command === undefined ? undefined : findNearest(command, names);
      const what = command === undefined ? "Incomplete command" : "Unknown command";
      const name = command === undefined ? "config" : `config ${command}`;
      throw new CortexError("usage", `${what} ${name}: cortex config has ${names.join(", ")}`, {
        hint: near === undefined ? "cortex config --help" : `cortex config ${near}`,
      });
    },
  });
}
