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

  test("shows and explains every key of its schema, in the schema's order", async () => {
    const text = await Bun.file(join(FOLDER, name)).text();
    const lines = text.split("\n");
    const shown = lines.flatMap((line, index) => {
      const key = /^(?:# )?([a-z_]+) = /.exec(line)?.[1];
      return key === undefined ? [] : [{ key, above: lines[index - 1] ?? "" }];
    });
    // A second table of a list repeats keys of the first.
    expect([...new Set(shown.map(({ key }) => key))]).toEqual([...new Set(leafKeys(schema))]);
    for (const { key, above } of shown) expect(`${key}: ${above}`).toMatch(/: # .{10}/);
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

function leafKeys(schema: TSchema): string[] {
  const properties: Record<string, TSchema> = schema["properties"] ?? {};
  return Object.entries(properties).flatMap(([key, child]) => {
    const inner: TSchema = child["type"] === "array" ? child["items"] : child;
    return inner["type"] === "object" ? leafKeys(inner) : [key];
  });
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
