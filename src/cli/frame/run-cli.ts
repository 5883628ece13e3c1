import { CortexError } from "../../base/errors.ts";
import { findNearest } from "../../base/nearest.ts";
import { BUILD } from "../../base/version.ts";
import type { CliCommand } from "./cli-command.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { formatCommandHelp, formatOverview } from "./help.ts";
import { formatError } from "./report-error.ts";
import { styleFor } from "./style.ts";

/** Runs the process's own command line and ends the process once standard output has been taken. */
export async function runProgram(commands: readonly CliCommand[]): Promise<never> {
  const code = await runCli(process.argv.slice(2), commands);
  await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
  process.exit(code);
}

/** Runs a command line (without the program's name) and returns the exit code; every error is printed here. */
export async function runCli(
  argv: readonly string[],
  commands: readonly CliCommand[],
): Promise<number> {
  try {
    return await dispatch(argv, commands);
  } catch (error) {
    const [name = ""] = joinPair(argv, commands);
    const isKnown = commands.some((command) => command.name === name);
    const help = isKnown ? `cortex ${name} --help` : "cortex --help";
    process.stderr.write(formatError(error, styleFor(process.stderr), help));
    return exitCodeOf(error);
  }
}

async function dispatch(argv: readonly string[], commands: readonly CliCommand[]): Promise<number> {
  const [first, ...rest] = joinPair(argv, commands);
  const shown = commands.filter((command) => !command.hidden);
  const style = styleFor(process.stdout);
  const wantsHelp = beforeDashes(rest).some((arg) => arg === "--help" || arg === "-h");
  if (first === undefined || first === "--help" || first === "-h" || first === "help") {
    const asked = rest.find((arg) => !arg.startsWith("-"));
    const text =
      asked === undefined
        ? formatOverview(shown, style)
        : formatCommandHelp(findCommand(asked, commands), style);
    process.stdout.write(text);
    return EXIT.ok;
  }
  if (first === "--version" || first === "-V") {
    process.stdout.write(`${BUILD}\n`);
    return EXIT.ok;
  }
  const command = findCommand(first, commands);
  if (wantsHelp) {
    process.stdout.write(formatCommandHelp(command, style));
    return EXIT.ok;
  }
  return command.execute(rest);
}

/** A command of two words, such as "neuron rpc", as one. */
function joinPair(argv: readonly string[], commands: readonly CliCommand[]): readonly string[] {
  const start = argv[0] === "help" ? 1 : 0;
  const pair = argv.slice(start, start + 2).join(" ");
  if (!commands.some((command) => command.name === pair)) return argv;
  return [...argv.slice(0, start), pair, ...argv.slice(start + 2)];
}

function beforeDashes(args: readonly string[]): readonly string[] {
  const dashes = args.indexOf("--");
  return dashes < 0 ? args : args.slice(0, dashes);
}

function findCommand(name: string, commands: readonly CliCommand[]): CliCommand {
  const found = commands.find((command) => command.name === name || command.aliases.includes(name));
  if (found !== undefined) return found;
  const shown = commands.filter((command) => !command.hidden);
  const names = shown.flatMap((command) => [command.name, ...command.aliases]);
  const near = findNearest(name, names);
  const what = name.startsWith("-") ? "flag" : "command";
  throw new CortexError("usage", `Unknown ${what} ${name}: cortex has ${names.join(", ")}`, {
    hint: near === undefined ? "cortex --help" : `cortex ${near}`,
  });
}
