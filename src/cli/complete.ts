import { fetchNames } from "./completion/fetch-names.ts";
import { type Completion, listCandidates } from "./completion/list-candidates.ts";
import { FILES_LINE } from "./completion/shell-scripts.ts";
import type { CliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";

/**
 * `cortex __complete -- WORD...`: what may stand in place of the last word, one line each. Shells call it at every TAB,
 * so it never fails and never says why it knows nothing. It takes words that no other command would: half a flag, and
 * any number of them.
 */
export function completeCommand(listCommands: () => readonly CliCommand[]): CliCommand {
  return {
    name: "__complete",
    aliases: [],
    hidden: true,
    summary: "List what may be typed next (used by the shells' completion scripts)",
    details: [],
    args: {},
    repeatable: [],
    choices: {},
    examples: ["__complete -- load qw"],
    exits: [],
    execute: async (rawArgs) => {
      const words = rawArgs[0] === "--" ? rawArgs.slice(1) : rawArgs;
      const options = { commands: listCommands(), names: fetchNames(words) };
      process.stdout.write(formatCompletion(await listCandidates(words, options)));
      return EXIT.ok;
    },
  };
}

function formatCompletion({ candidates, files }: Completion): string {
  const lines = candidates.map(
    ({ value, description }) => `${value}\t${description.replaceAll(/\s+/g, " ")}`,
  );
  return [...(files ? [FILES_LINE] : []), ...lines].map((line) => `${line}\n`).join("");
}
