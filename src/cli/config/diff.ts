import type { ConfigKind } from "../../config/config-kind-names.ts";
import { defineCliCommand } from "../frame/cli-command.ts";
import { EXIT } from "../frame/exit-codes.ts";
import { printAnswer } from "../frame/print-answer.ts";
import { styleFor } from "../frame/style.ts";
import { formatTable } from "../frame/table.ts";
import { kindFlag } from "./kind-flag.ts";

/** `cortex config diff`: what two files mean differently. */
export const configDiffCommand = defineCliCommand({
  name: "config diff",
  summary: "Compare a configuration file with the defaults, or with another one",
  details: [
    "Values are compared, defaults filled in, not text; tables of a list by their name or id. The environment does\n" +
      "not take part.",
  ],
  args: {
    file: { type: "positional", required: true, description: "file to compare" },
    other: {
      type: "positional",
      required: false,
      description: "file to compare it with; the defaults when left out",
    },
    ...kindFlag,
    json: { type: "boolean", description: "print the differences as JSON" },
  },
  examples: ["config diff /etc/cortex/cortex.toml", "config diff old/cortex.toml new/cortex.toml"],
  exits: ["failed", "usage"],
  run: async ({ file, other, kind: given, json }) => {
    const { findConfigKind } = await import("../../config/load-config.ts");
    const kind = given ?? (await findConfigKind(file));
    const [before, after] = other === undefined ? [undefined, file] : [file, other];
    const changes = compareValues(
      before === undefined ? await listDefaults(kind) : await listNamed(kind, before),
      await listNamed(kind, after),
    );
    if (json === true) {
      printAnswer("config diff", { json: true }, { data: { changes: [...changes] }, text: "" });
    } else if (changes.length === 0) {
      process.stdout.write("No differences\n");
    } else {
      const { formatTomlValue } = await import("../../config/list-values.ts");
      const show = (value: unknown) => (value === null ? "-" : formatTomlValue(value));
      const rows = changes.map(({ key, from, to }) => [key, show(from), show(to)]);
      const header = ["KEY", before ?? "DEFAULT", after];
      const paintHeader = styleFor(process.stdout).bold;
      process.stdout.write(`${formatTable(header, rows, { paintHeader })}\n`);
    }
    return EXIT.ok;
  },
});

interface Change {
  readonly key: string;
  /** null where the key is left out. */
  readonly from: unknown;
  readonly to: unknown;
}

type NamedValues = ReadonlyMap<string, unknown>;

function compareValues(before: NamedValues, after: NamedValues): readonly Change[] {
  const changes: Change[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [from, to] = [before.get(key) ?? null, after.get(key) ?? null];
    if (!Bun.deepEquals(from, to)) changes.push({ key, from, to });
  }
  return changes;
}

/** Not what stands in /etc/cortex. */
function listDefaults(kind: ConfigKind): Promise<NamedValues> {
  return listNamed(kind, "/dev/null");
}

async function listNamed(kind: ConfigKind, file: string): Promise<NamedValues> {
  const { loadConfig } = await import("../../config/load-config.ts");
  const { listValues } = await import("../../config/list-values.ts");
  const { CONFIG_KINDS } = await import("../../config/config-kinds.ts");
  const { config } = await loadConfig(kind, { file, env: {}, withSecrets: false });
  const values = listValues(config, CONFIG_KINDS[kind].schema);
  return new Map(values.map(({ path, value }) => [nameByTable(config, path), value]));
}

/** `neurons[box].endpoint`: a table of a list may stand at another place in the other file. */
function nameByTable(config: object, path: readonly (string | number)[]): string {
  let name = "";
  let value: unknown = config;
  for (const step of path) {
    value = (value as Readonly<Record<string | number, unknown>>)[step];
    if (typeof step === "number") {
      const table = value as { readonly name?: string; readonly id?: string };
      name += `[${table.name ?? table.id ?? step}]`;
    } else {
      name += name === "" ? step : `.${step}`;
    }
  }
  return name;
}
