import { BUILD, VERSION } from "../base/version.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";

/** `cortex version`: the version of this executable. */
export const versionCommand = defineCliCommand({
  name: "version",
  summary: "Print the version",
  args: {
    json: {
      type: "boolean",
      description: "print JSON, with the package's and Bun's version and the embedded libraries",
    },
  },
  examples: ["version", "version --json"],
  exits: ["usage"],
  run: async ({ json }) => {
    const details = {
      version: VERSION,
      ...(BUILD === VERSION ? {} : { build: BUILD }),
      bun: Bun.version,
      platform: `${process.platform}-${process.arch}`,
      // An executable that `bun build --compile` made has its sources in a file system of its own.
      compiled: Bun.main.startsWith("/$bunfs/"),
      libraries: Bun.embeddedFiles.map(nameOf).filter((name) => name.endsWith(".so")),
    };
    printAnswer("version", { json }, { data: details, text: `${BUILD}\n` });
    return EXIT.ok;
  },
});

/** Bun names embedded files, which its types do not say. */
function nameOf(file: Blob & { readonly name?: string }): string {
  return file.name ?? "";
}
