import { defineCliCommand } from "../frame/cli-command.ts";
import { EXIT } from "../frame/exit-codes.ts";
import { kindFlag } from "./kind-flag.ts";

/** `cortex config schema`: the JSON Schema of a kind of file. */
export const configSchemaCommand = defineCliCommand({
  name: "config schema",
  summary: "Print the JSON Schema of a configuration file, for editors",
  details: [
    'An editor with TOML support completes and checks a file that begins with "#:schema ./cortex.schema.json".',
  ],
  args: kindFlag,
  examples: [
    "config schema > cortex.schema.json",
    "config schema --kind neuron > neuron.schema.json",
  ],
  exits: ["usage"],
  run: async ({ kind }) => {
    const { toJsonSchema } = await import("../../config/json-schema.ts");
    const schema = toJsonSchema(kind ?? "gateway");
    process.stdout.write(`${JSON.stringify(schema, undefined, 2)}\n`);
    return EXIT.ok;
  },
});
