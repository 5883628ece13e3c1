import { CortexError } from "../base/errors.ts";
import { type CliCommand, defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";

/** `cortex completion SHELL`: what a shell needs to complete commands and flags. */
export function completionCommand(commands: readonly CliCommand[]): CliCommand {
  return defineCliCommand({
    name: "completion",
    summary: "Print a shell's completion script",
    args: {
      shell: { type: "positional", required: true, description: "bash, zsh or fish" },
    },
    examples: [
      "completion bash > /etc/bash_completion.d/cortex",
      "completion zsh > ~/.zfunc/_cortex",
      "completion fish > ~/.config/fish/completions/cortex.fish",
    ],
    exits: ["usage"],
    run: async ({ shell }) => {
      // Shells complete one word at a time, so commands of two words are left out.
      const shown = commands.filter((command) => !command.hidden && !command.name.includes(" "));
      const script = formatScript(shell, shown);
      if (script === undefined) {
        throw new CortexError("usage", `No completion for ${shell}: there is bash, zsh and fish`, {
          hint: "cortex completion bash",
        });
      }
      process.stdout.write(script);
      return EXIT.ok;
    },
  });
}

function formatScript(shell: string, commands: readonly CliCommand[]): string | undefined {
  switch (shell) {
    case "bash":
      return formatBash(commands);
    case "zsh":
      return `#compdef cortex\nautoload -U +X bashcompinit && bashcompinit\n${formatBash(commands)}`;
    case "fish":
      return formatFish(commands);
    default:
      return undefined;
  }
}

function formatBash(commands: readonly CliCommand[]): string {
  const cases = commands.map(
    (command) =>
      `    ${[command.name, ...command.aliases].join("|")}) words="${flagsOf(command).join(" ")}" ;;`,
  );
  return [
    "_cortex() {",
    `  local cur="\${COMP_WORDS[COMP_CWORD]}" words`,
    `  case "\${COMP_WORDS[1]}" in`,
    ...cases,
    '    *) words="" ;;',
    "  esac",
    `  [ "$COMP_CWORD" -eq 1 ] && words="${commands.map(({ name }) => name).join(" ")}"`,
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    "}",
    // Where no word fits, a file may: --config, --models-dir and their like take one.
    "complete -o default -F _cortex cortex",
    "",
  ].join("\n");
}

function formatFish(commands: readonly CliCommand[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", "\\'")}'`;
  const names = commands.map(
    ({ name, summary }) =>
      `complete -c cortex -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`,
  );
  const flags = commands.flatMap(({ name, args }) =>
    Object.entries(args)
      .filter(([, def]) => def.type !== "positional")
      .map(([flag, def]) => {
        const value = def.type === "boolean" ? "" : " -r";
        const where = `'__fish_seen_subcommand_from ${name}'`;
        return `complete -c cortex -n ${where} -l ${flag}${value} -d ${quote(def.description ?? "")}`;
      }),
  );
  return `${[...names, ...flags].join("\n")}\n`;
}

function flagsOf(command: CliCommand): readonly string[] {
  const flags = Object.entries(command.args).filter(([, def]) => def.type !== "positional");
  return [...flags.map(([name]) => `--${name}`), "--help"];
}
