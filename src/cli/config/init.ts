import { writeFile } from "node:fs/promises";
import { CortexError } from "../../base/errors.ts";
import { defineCliCommand } from "../frame/cli-command.ts";
import { EXIT } from "../frame/exit-codes.ts";
import { printAnswer } from "../frame/print-answer.ts";
import { kindFlag } from "./kind-flag.ts";

/** `cortex config init`: writes a commented example. */
export const configInitCommand = defineCliCommand({
  name: "config init",
  summary: "Write a configuration file with every key, its default and its meaning",
  details: [
    "FILE is cortex.toml, models.toml or neuron.toml in this folder when left out; - prints the text instead.\n" +
      "A file that exists stays as it is unless --force is given.",
  ],
  args: {
    file: { type: "positional", required: false, description: "file to write, or -" },
    ...kindFlag,
    force: { type: "boolean", description: "overwrite a file that exists" },
    json: { type: "boolean", description: "print what was written as JSON" },
  },
  examples: [
    "config init /etc/cortex/cortex.toml",
    "config init --kind neuron",
    "config init --kind models -",
  ],
  exits: ["failed", "usage"],
  run: async (args) => {
    const { EXAMPLE_FILES } = await import("../../config/example-files.ts");
    const { CONFIG_KINDS } = await import("../../config/config-kinds.ts");
    const { guessKindByName } = await import("../../config/load-config.ts");
    const kind = args.kind ?? guessKindByName(args.file ?? "") ?? "gateway";
    const text = EXAMPLE_FILES[kind];
    if (args.file === "-") {
      process.stdout.write(text);
      return EXIT.ok;
    }
    const file = args.file ?? CONFIG_KINDS[kind].fileName;
    try {
      // One step, so that nobody's file is lost in between.
      await writeFile(file, text, { flag: args.force === true ? "w" : "wx" });
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
      throw new CortexError("conflict", `Cannot write ${file}: it exists already`, {
        hint: `cortex config init ${file} --kind ${kind} --force, which overwrites it`,
      });
    }
    const written = `${file}: written, with every key and its default\n`;
    printAnswer("config init", { json: args.json }, { data: { kind, file }, text: written });
    return EXIT.ok;
  },
});
