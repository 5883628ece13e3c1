import type { CliCommand } from "../../src/cli/frame/cli-command.ts";
import { EXIT, EXIT_MEANINGS } from "../../src/cli/frame/exit-codes.ts";
import { shortFlags } from "../../src/cli/frame/strict-args.ts";

/** What the pages say of the build. */
export interface ManPageFacts {
  readonly version: string;
  /** The date of the commit, 2026-11-24. */
  readonly date: string;
}

type Flag = CliCommand["args"][string];

/** File names and texts of section 1: cortex(1), and one page for each command that is shown. */
export function formatManPages(
  commands: readonly CliCommand[],
  facts: ManPageFacts,
): ReadonlyMap<string, string> {
  const shown = commands.filter((command) => !command.hidden);
  const pages = new Map([["cortex.1", formatOverviewPage(shown, facts)]]);
  for (const command of shown) {
    pages.set(`${pageName(command)}.1`, formatCommandPage(command, facts));
  }
  return pages;
}

function formatOverviewPage(commands: readonly CliCommand[], facts: ManPageFacts): string {
  return lines([
    header("cortex", facts),
    ".SH NAME",
    "cortex \\- one endpoint in front of every machine with devices that a team owns",
    ".SH SYNOPSIS",
    ".B cortex",
    "COMMAND [FLAGS]",
    ".SH DESCRIPTION",
    "A gateway takes requests in the dialects of OpenAI and Anthropic and sends each to a neuron that has the model, or",
    "to one that can load it. A neuron runs models on the devices of its machine.",
    ".SH COMMANDS",
    ...commands.flatMap((command) => [
      ".TP",
      `.BR ${roff(pageName(command))} (1)`,
      roff(sentence(command.summary)),
    ]),
    ".SH FILES",
    ...formatFile("/etc/cortex/cortex.toml", "The gateway: listeners, eviction, limits, neurons."),
    ...formatFile("/etc/cortex/models.toml", "Names, pins, sizes and places of models."),
    ...formatFile("/etc/cortex/neuron.toml", "The neuron: models, memory, devices."),
    ".SH EXIT STATUS",
    ...Object.entries(EXIT).flatMap(([name, code]) => formatExit(name as keyof typeof EXIT, code)),
  ]);
}

function formatCommandPage(command: CliCommand, facts: ManPageFacts): string {
  const name = pageName(command);
  const entries = Object.entries(command.args);
  const words = entries.filter(([, def]) => def.type === "positional");
  const flags = entries.filter(([, def]) => def.type !== "positional");
  const places = words.map(([word, def]) =>
    def.required === false ? `[${word.toUpperCase()}]` : word.toUpperCase(),
  );
  const also = command.aliases.map((alias) => `It may be called \`${alias}', too.`);
  return lines([
    header(name, facts),
    ".SH NAME",
    `${roff(name)} \\- ${roff(command.summary)}`,
    ".SH SYNOPSIS",
    `.B ${roff(`cortex ${command.name}`)}`,
    roff([...places, "[FLAGS]"].join(" ")),
    ".SH DESCRIPTION",
    roff(sentence(command.summary)),
    ...[...command.details, ...also].flatMap((text) => [".PP", roff(text)]),
    ...(words.length === 0 ? [] : [".SH ARGUMENTS"]),
    ...words.flatMap(([word, def]) => [
      ".TP",
      `.I ${roff(word.toUpperCase())}`,
      roff(sentence(def.description ?? "")),
    ]),
    ".SH FLAGS",
    ...flags.flatMap(([flag, def]) => formatFlag(flag, def, command)),
    ".TP",
    ".B \\-h, \\-\\-help",
    "Show flags, examples and exit codes.",
    ".SH EXAMPLES",
    ".nf",
    ...command.examples.map((example) => roff(`cortex ${example}`)),
    ".fi",
    ".SH EXIT STATUS",
    ...(["ok", ...command.exits] as const).flatMap((exit) => formatExit(exit, EXIT[exit])),
    ".SH SEE ALSO",
    ".BR cortex (1)",
  ]);
}

function formatFlag(flag: string, def: Flag, command: CliCommand): string[] {
  const value = def.type === "boolean" ? "" : ` ${def.valueHint ?? "VALUE"}`;
  const notes = [
    ...(def.type === "enum" ? [`One of ${(def.options ?? []).join(", ")}.`] : []),
    ...(command.repeatable.includes(flag) ? ["It may be repeated."] : []),
    ...(def.default === undefined ? [] : [`The default is ${def.default}.`]),
  ];
  return [
    ".TP",
    `.B ${roff([...shortFlags(def), `--${flag}${value}`].join(", "))}`,
    roff([sentence(def.description ?? ""), ...notes].join(" ")),
  ];
}

function formatExit(name: keyof typeof EXIT, code: number): string[] {
  return [".TP", `.B ${code}`, roff(sentence(EXIT_MEANINGS[name]))];
}

function formatFile(path: string, text: string): string[] {
  return [".TP", `.I ${roff(path)}`, text];
}

function pageName(command: CliCommand): string {
  return `cortex-${command.name.replaceAll(" ", "-")}`;
}

function header(name: string, { version, date }: ManPageFacts): string {
  return `.TH ${roff(name.toUpperCase())} 1 ${date} "cortex ${roff(version)}" "User Commands"`;
}

function sentence(text: string): string {
  // The name of a file keeps its case.
  const isName = /^\w+\.\w/.test(text);
  const start = isName ? text : text.slice(0, 1).toUpperCase() + text.slice(1);
  return start === "" || /[.!?]$/.test(start) ? start : `${start}.`;
}

/** Backslashes and dashes mean something to roff, and so does a line that begins with a dot or a quote. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("^", "\\(ha")
    .replaceAll("~", "\\(ti")
    .replace(/^([.'])/gm, "\\&$1");
}

function lines(parts: readonly string[]): string {
  return `${parts.join("\n")}\n`;
}
