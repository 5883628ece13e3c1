import { describe, expect, test } from "bun:test";
import { formatManPages } from "../../../scripts/package/man-pages.ts";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { defineCliCommand } from "../../../src/cli/frame/cli-command.ts";
import { shortFlags } from "../../../src/cli/frame/strict-args.ts";

const FACTS = { version: "0.1.0", date: "2026-11-24" };

describe("man pages", () => {
  test("are there for every command that is shown, and name every flag", () => {
    const pages = formatManPages(COMMANDS, FACTS);
    const shown = COMMANDS.filter((command) => !command.hidden);
    expect(pages.size).toBe(shown.length + 1);
    for (const { name, args } of shown) {
      const page = pages.get(`cortex-${name.replaceAll(" ", "-")}.1`) ?? "";
      const flags = Object.entries(args).filter(([, def]) => def.type !== "positional");
      for (const [flag, def] of flags) {
        const shorts = shortFlags(def).map((short) => `${short}, `);
        const written = `.B ${shorts.join("")}--${flag}`.replaceAll("-", "\\-");
        expect(page).toContain(written);
      }
    }
  });

  test("show what means something to roff as it was written", () => {
    const odd = defineCliCommand({
      name: "odd",
      summary: "Prints a \\ and ~",
      details: [".hidden files are read\n'quoted ones too"],
      args: { file: { type: "string", description: "cortex.toml to read" } },
      examples: ["odd"],
      exits: [],
      run: async () => 0,
    });
    const page = formatManPages([odd], FACTS).get("cortex-odd.1") ?? "";
    expect(page).toContain("cortex\\-odd \\- Prints a \\e and \\(ti\n");
    expect(page).toContain("\n\\&.hidden files are read\n\\&'quoted ones too\n");
    expect(page).toContain("\ncortex.toml to read.\n");
  });
});
