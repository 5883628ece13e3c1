import type { ConfigKind } from "../../config/config-kind-names.ts";
import type { LoadedConfigFile } from "../../config/load-config.ts";
import { defineCliCommand } from "../frame/cli-command.ts";
import { EXIT } from "../frame/exit-codes.ts";
import { printAnswer } from "../frame/print-answer.ts";
import { type Style, styleFor } from "../frame/style.ts";
import { kindFlag } from "./kind-flag.ts";

/** `cortex config show`: what holds once file, environment and defaults are put together. */
export const configShowCommand = defineCliCommand({
  name: "config show",
  summary: "Print the configuration that holds, and where each value comes from",
  details: [
    "Without FILE: the one in /etc/cortex, else the defaults; for a gateway with its models.toml. The output is TOML\n" +
      "again. Tokens and keys are never read here: only where they are is shown.",
  ],
  args: {
    file: { type: "positional", required: false, description: "file to show" },
    ...kindFlag,
    origin: {
      type: "boolean",
      description: "say of each value whether file and line, a variable or a default gave it",
    },
    json: { type: "boolean", description: "print it as JSON" },
  },
  examples: ["config show --origin", "config show --kind neuron --json"],
  exits: ["failed", "usage"],
  run: async (args) => {
    const loaded = await loadShown(args);
    const { listValues, formatTomlHeader, formatTomlValue } = await import(
      "../../config/list-values.ts"
    );
    const { CONFIG_KINDS } = await import("../../config/config-kinds.ts");
    const shown = loaded.map((file) => ({
      ...file,
      values: listValues(file.config, CONFIG_KINDS[file.kind].schema).map(({ path, value }) => ({
        header: formatTomlHeader(path),
        table: JSON.stringify(path.slice(0, -1)),
        name: namePath(path),
        line: `${path.at(-1)} = ${formatTomlValue(value)}`,
        origin: file.document.findOrigin(path) ?? "default",
      })),
    }));
    if (args.json === true) {
      const files = shown.map(({ kind, file, config, values }) => ({
        ...{ kind, file: file ?? null, config },
        ...(args.origin === true
          ? { origins: Object.fromEntries(values.map(({ name, origin }) => [name, origin])) }
          : {}),
      }));
      printAnswer("config show", { json: true }, { data: { files }, text: "" });
      return EXIT.ok;
    }
    const style = styleFor(process.stdout);
    const texts = shown.map((file) => formatFile(file, { style, origin: args.origin === true }));
    process.stdout.write(`${texts.join("\n")}`);
    return EXIT.ok;
  },
});

interface ShownFile {
  readonly kind: ConfigKind;
  readonly file: string | undefined;
  readonly values: readonly ShownValue[];
}

interface ShownValue {
  readonly header: string;
  readonly table: string;
  readonly line: string;
  readonly origin: string;
}

async function loadShown(args: {
  readonly file?: string | undefined;
  readonly kind?: ConfigKind | undefined;
}): Promise<readonly LoadedConfigFile[]> {
  const { findConfigKind, loadConfig } = await import("../../config/load-config.ts");
  const { file } = args;
  const kind = args.kind ?? (file === undefined ? "gateway" : await findConfigKind(file));
  if (kind !== "gateway") return [await loadConfig(kind, { file, withSecrets: false })];
  const { loadGatewayFiles } = await import("../../config/load-gateway-files.ts");
  const { gateway, models } = await loadGatewayFiles({ file, withSecrets: false });
  if (models.file === undefined) return [{ kind, ...gateway }];
  const { profiles: config, document } = models;
  return [
    { kind, ...gateway },
    { kind: "models", file: models.file, config, document },
  ];
}

function formatFile(
  { file, kind, values }: ShownFile,
  options: { readonly style: Style; readonly origin: boolean },
): string {
  const { style } = options;
  const width = Math.max(0, ...values.map(({ line }) => line.length));
  const lines = [style.dim(`# ${kind}: ${file ?? "the built-in defaults"}`)];
  let table = "[]";
  for (const value of values) {
    if (value.table !== table) lines.push("", style.bold(value.header));
    table = value.table;
    const comment = style.dim(`  # ${value.origin}`);
    lines.push(options.origin ? `${value.line.padEnd(width)}${comment}` : value.line);
  }
  return `${lines.join("\n")}\n`;
}

function namePath(path: readonly (string | number)[]): string {
  return path
    .map((step, index) =>
      typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`,
    )
    .join("");
}
