import type { ArgDef } from "citty";
import { BUILD } from "../../base/version.ts";
import type { CliCommand } from "./cli-command.ts";
import { EXIT, EXIT_MEANINGS } from "./exit-codes.ts";
import { shortFlags } from "./strict-args.ts";
import type { Style } from "./style.ts";

const SUMMARY = "One OpenAI and Anthropic endpoint in front of every GPU machine that a team owns";

/** The text of `cortex --help`. */
export function formatOverview(commands: readonly CliCommand[], style: Style): string {
  const rows = commands.map((command) => [
    [command.name, ...command.aliases].join(", "),
    command.summary,
  ]);
  return [
    `cortex ${BUILD}: ${SUMMARY}`,
    "",
    `${style.bold("Usage:")} cortex COMMAND [FLAGS]`,
    "",
    style.bold("Commands:"),
    ...alignPairs(rows),
    "",
    style.bold("First steps:"),
    "  cortex up                one command: a model, a neuron and a gateway on this machine",
    "  cortex status            what the gateway sees",
    "  cortex COMMAND --help    flags, examples and exit codes of a command",
    "",
  ].join("\n");
}

/** The text of `cortex COMMAND --help`. */
export function formatCommandHelp(command: CliCommand, style: Style): string {
  const entries = Object.entries(command.args);
  const words = entries.filter(([, def]) => def.type === "positional");
  const flags = entries.filter(([, def]) => def.type !== "positional");
  const usage = ["cortex", command.name, ...words.map(([name, def]) => wordHint(name, def))];
  const aliases = command.aliases.length === 0 ? [] : [`Also: ${command.aliases.join(", ")}`, ""];
  const section = (title: string, rows: readonly (readonly string[])[]) =>
    rows.length === 0 ? [] : [style.bold(title), ...alignPairs(rows), ""];
  const exits = (["ok", ...command.exits] as const).map((name) => [
    String(EXIT[name]),
    EXIT_MEANINGS[name],
  ]);
  return [
    `${command.summary}`,
    "",
    ...command.details.flatMap((paragraph) => [paragraph, ""]),
    `${style.bold("Usage:")} ${usage.join(" ")} [FLAGS]`,
    "",
    ...aliases,
    ...section(
      "Arguments:",
      words.map(([name, def]) => [name.toUpperCase(), def.description ?? ""]),
    ),
    ...section("Flags:", [
      ...flags.map(([name, def]) => [flagHint(name, def), describeFlag(name, def, command)]),
      ["-h, --help", "show this text"],
    ]),
    style.bold("Examples:"),
    ...command.examples.map((example) => `  cortex ${example}`),
    "",
    ...section("Exit codes:", exits),
  ].join("\n");
}

function wordHint(name: string, def: ArgDef): string {
  return def.required === false ? `[${name.toUpperCase()}]` : name.toUpperCase();
}

function flagHint(name: string, def: ArgDef): string {
  const short = shortFlags(def).map((flag) => `${flag}, `);
  const hint = def.type === "boolean" ? "" : ` ${def.valueHint ?? "VALUE"}`;
  return `${short.join("")}--${name}${hint}`;
}

function describeFlag(name: string, def: ArgDef, command: CliCommand): string {
  const choice = def.type === "enum" ? [`one of ${(def.options ?? []).join(", ")}`] : [];
  const repeat = command.repeatable.includes(name) ? ["may be repeated"] : [];
  const preset = def.default === undefined ? [] : [`default: ${def.default}`];
  const notes = [...choice, ...repeat, ...preset];
  return `${def.description ?? ""}${notes.length === 0 ? "" : ` (${notes.join("; ")})`}`;
}

function alignPairs(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(...rows.map(([left = ""]) => left.length));
  return rows.map(([left = "", right = ""]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
}
