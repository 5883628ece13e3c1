import { type ArgsDef, defineCommand, type ParsedArgs, runCommand } from "citty";
import { EXIT, type ExitName } from "./exit-codes.ts";
import { type ArgumentRules, toStrictArgs } from "./strict-args.ts";

/** A command as its file states it. Flags are kebab-case; values come as text. */
export interface CommandSpec<Args extends ArgsDef> {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** Left out of the overview and of guesses. */
  readonly hidden?: boolean;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Further paragraphs of --help. */
  readonly details?: readonly string[];
  readonly args: Args;
  /** Flags that may be given several times; `run` gets their values as one text, see {@link splitRepeated}. */
  readonly repeatable?: readonly string[];
  /** The words that an argument may be, for shells that complete it. */
  readonly choices?: Readonly<Record<string, readonly string[]>>;
  /** Command lines without the leading `cortex`. */
  readonly examples: readonly string[];
  /** The codes that it can end with besides ok. */
  readonly exits: readonly ExitName[];
  readonly run: (args: ParsedArgs<Args>) => Promise<number>;
}

/** A command as the frame sees it, whatever its arguments are. */
export interface CliCommand extends ArgumentRules {
  readonly aliases: readonly string[];
  readonly hidden: boolean;
  readonly summary: string;
  readonly details: readonly string[];
  readonly choices: Readonly<Record<string, readonly string[]>>;
  readonly examples: readonly string[];
  readonly exits: readonly ExitName[];
  /** Checks the arguments strictly, runs, and returns the exit code; throws what `run` throws. */
  execute(rawArgs: readonly string[]): Promise<number>;
}

/** Makes a command of a spec. The one place where citty parses and runs. */
export function defineCliCommand<const Args extends ArgsDef>(spec: CommandSpec<Args>): CliCommand {
  const command: CliCommand = {
    name: spec.name,
    aliases: spec.aliases ?? [],
    hidden: spec.hidden ?? false,
    summary: spec.summary,
    details: spec.details ?? [],
    args: spec.args,
    repeatable: spec.repeatable ?? [],
    choices: spec.choices ?? {},
    examples: spec.examples,
    exits: spec.exits,
    async execute(rawArgs) {
      let code: number = EXIT.ok;
      const inner = defineCommand({
        args: spec.args,
        run: async ({ args }) => {
          code = await spec.run(args);
        },
      });
      await runCommand(inner, { rawArgs: toStrictArgs(command, rawArgs) });
      return code;
    },
  };
  return command;
}
