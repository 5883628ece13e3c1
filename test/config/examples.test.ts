import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { TSchema } from "@sinclair/typebox";
import { GatewayConfigSchema } from "../../src/config/gateway-schema.ts";
import { loadGatewayConfig } from "../../src/config/load-gateway-config.ts";
import { loadModelProfiles } from "../../src/config/load-model-profiles.ts";
import { loadNeuronConfig } from "../../src/config/load-neuron-config.ts";
import { ModelProfilesSchema } from "../../src/config/models-schema.ts";
import { NeuronConfigSchema } from "../../src/config/neuron-schema.ts";
import { withFiles } from "./config-text.ts";

const FOLDER = join(import.meta.dir, "../../config");
const env = { CORTEX_NEURON_TOKEN: "secret", OPENAI_API_KEY: "secret" };

interface Example {
  readonly name: string;
  readonly schema: TSchema;
  readonly load: (file: string, withSecrets: boolean) => Promise<unknown>;
}

const EXAMPLES: Example[] = [
  {
    name: "cortex.example.toml",
    schema: GatewayConfigSchema,
    load: (file, withSecrets) => loadGatewayConfig({ file, env, withSecrets }),
  },
  {
    name: "models.example.toml",
    schema: ModelProfilesSchema,
    load: (file) => loadModelProfiles({ file, neuronNames: ["workstation"] }),
  },
  {
    name: "neuron.example.toml",
    schema: NeuronConfigSchema,
    load: (file, withSecrets) => loadNeuronConfig({ file, env, withSecrets }),
  },
];

describe.each(EXAMPLES)("the example $name", ({ name, schema, load }) => {
  test("loads as it is", async () => {
    await load(join(FOLDER, name), true);
  });

  test("loads with every commented key switched on", async () => {
    const text = await Bun.file(join(FOLDER, name)).text();
    const full = text.replace(/^# ([a-z_]+ = |\[\[)/gm, "$1");
    await withFiles({ [name]: full }, async (folder) => {
      // A variable and a file for one secret are shown beside each other.
      await load(join(folder, name), false);
    });
  });

  test("shows and explains every key of each of its tables, in the schema's order", async () => {
    const text = await Bun.file(join(FOLDER, name)).text();
    const shown = readTables(text);
    expect([...shown].map(([table, keys]) => [table, keys.map(({ key }) => key)])).toEqual([
      ...tableKeys(schema),
    ]);
    for (const { key, above } of [...shown.values()].flat()) {
      expect(`${key}: ${above}`).toMatch(/: # .{10}/);
    }
  });
});

test.each(EXAMPLES)("$name says the defaults that its schema has", async ({ name, schema }) => {
  const text = await Bun.file(join(FOLDER, name)).text();
  const defaults = listDefaults(schema);
  const shown = [...text.matchAll(/^((?:# .*\n)*)([a-z_]+) = (.*)$/gm)];
  for (const [, above = "", key = "", value = ""] of shown) {
    const known = defaults.get(key);
    if (known === undefined) continue;
    // Either the value is the default, or the comment says what the default is.
    const isDefault = known.includes(value);
    const other = above.includes("none when left out") ? "[]" : "";
    const said = /default is ("[^"]*"|[\w-]+)/.exec(above)?.[1] ?? (isDefault ? value : other);
    expect(`${key} = ${said}`).toBe(`${key} = ${known.includes(said) ? said : known[0]}`);
  }
});

test("the examples show the defaults", async () => {
  const { config } = await loadNeuronConfig({ file: join(FOLDER, "neuron.example.toml"), env });
  expect(config).toEqual((await loadNeuronConfig({ folder: "/nonexistent" })).config);
  const gateway = await loadGatewayConfig({ file: join(FOLDER, "cortex.example.toml"), env });
  const defaults = await loadGatewayConfig({ folder: "/nonexistent" });
  expect<unknown>({ ...gateway.config, neurons: [] }).toEqual(defaults.config);
});

interface ShownKey {
  readonly key: string;
  /** The line before it. */
  readonly above: string;
}

/** The keys that a file shows, commented or not, by table; several tables of one list show its keys together. */
function readTables(text: string): Map<string, ShownKey[]> {
  const tables = new Map<string, ShownKey[]>();
  let keys: ShownKey[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const table = /^(?:# )?\[\[?([a-z_.]+)\]\]?$/.exec(line)?.[1];
    if (table !== undefined) {
      keys = tables.get(table) ?? [];
      tables.set(table, keys);
    }
    const key = /^(?:# )?([a-z_]+) = /.exec(line)?.[1];
    if (key === undefined || keys.some((known) => known.key === key)) continue;
    keys.push({ key, above: text.split("\n")[index - 1] ?? "" });
  }
  return tables;
}

/** The keys of each table of a schema, in its order; a table within another one has a dotted name. */
function tableKeys(schema: TSchema, path = ""): [string, string[]][] {
  const properties: Record<string, TSchema> = schema["properties"] ?? {};
  const own: string[] = [];
  const inner: [string, string[]][] = [];
  for (const [key, child] of Object.entries(properties)) {
    const item: TSchema = child["type"] === "array" ? child["items"] : child;
    const name = path === "" ? key : `${path}.${key}`;
    if (item["type"] === "object") inner.push(...tableKeys(item, name));
    else own.push(key);
  }
  return [...(path === "" ? [] : [[path, own] as [string, string[]]]), ...inner];
}

/** The defaults of each key, as TOML; a key of several tables may have several. */
function listDefaults(schema: TSchema): Map<string, string[]> {
  const defaults = new Map<string, string[]>();
  const walk = (inner: TSchema): void => {
    const properties: Record<string, TSchema> = inner["properties"] ?? inner["items"]?.properties;
    for (const [key, child] of Object.entries(properties ?? {})) {
      const isTable = child["type"] === "object" || child["items"]?.type === "object";
      if (isTable) walk(child);
      else if (child["default"] !== undefined) {
        defaults.set(key, [...(defaults.get(key) ?? []), JSON.stringify(child["default"])]);
      }
    }
  };
  walk(schema);
  return defaults;
}
