import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { EVENT_KIND, STATUS, SUBMIT_KIND } from "../../cuda/engine.ts";
import { ABI_VERSION } from "../../cuda/index.ts";

const INCLUDE = resolve(import.meta.dir, "../../cuda/include");
const compiler = Bun.which("cc") ?? Bun.which("gcc") ?? Bun.which("clang");

/** The header's numbers, as the C compiler sees them. */
async function constantsInC(): Promise<Record<string, number>> {
  const names = [
    ...Object.keys(STATUS).map((name) =>
      name === "ok" ? "NRN_OK" : `NRN_E_${name.toUpperCase()}`,
    ),
    ...Object.keys(EVENT_KIND).map((name) => `NRN_EVENT_${name.toUpperCase()}`),
    ...Object.keys(SUBMIT_KIND).map((name) => `NRN_SUBMIT_${name.toUpperCase()}`),
    "NRN_ABI_VERSION",
    "sizeof(nrn_event)",
    "offsetof(nrn_event, kind)",
    "offsetof(nrn_event, request)",
    "offsetof(nrn_event, status)",
    "offsetof(nrn_event, payload_length)",
  ];
  const lines = names.map((name) => `printf("%s %ld\\n", "${name}", (long) ${name});`);
  const folder = await mkdtemp(join(tmpdir(), "cortex-abi-"));
  try {
    await Bun.write(
      join(folder, "abi.c"),
      `#include <stddef.h>\n#include <stdio.h>\n#include "neuron.h"\nint main(void) {\n${lines.join("\n")}\nreturn 0;\n}\n`,
    );
    const built = Bun.spawnSync([
      compiler ?? "cc",
      ...["-std=c11", "-Wall", "-Wextra", "-Werror", "-I", INCLUDE],
      ...["-o", join(folder, "abi"), join(folder, "abi.c")],
    ]);
    if (!built.success) throw new Error(built.stderr.toString());
    const output = Bun.spawnSync([join(folder, "abi")]).stdout.toString();
    return Object.fromEntries(
      output
        .trim()
        .split("\n")
        .map((line) => {
          const at = line.lastIndexOf(" ");
          return [line.slice(0, at), Number(line.slice(at + 1))];
        }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test.skipIf(compiler === null)("the header's constants are the binding's", async () => {
  const inC = await constantsInC();
  for (const [name, value] of Object.entries(STATUS)) {
    expect(inC[name === "ok" ? "NRN_OK" : `NRN_E_${name.toUpperCase()}`]).toBe(value);
  }
  for (const [name, value] of Object.entries(EVENT_KIND)) {
    expect(inC[`NRN_EVENT_${name.toUpperCase()}`]).toBe(value);
  }
  for (const [name, value] of Object.entries(SUBMIT_KIND)) {
    expect(inC[`NRN_SUBMIT_${name.toUpperCase()}`]).toBe(value);
  }
  expect(inC["NRN_ABI_VERSION"]).toBe(ABI_VERSION);
  expect(inC["sizeof(nrn_event)"]).toBe(24);
  expect(inC["offsetof(nrn_event, kind)"]).toBe(4);
  expect(inC["offsetof(nrn_event, request)"]).toBe(8);
  expect(inC["offsetof(nrn_event, status)"]).toBe(16);
  expect(inC["offsetof(nrn_event, payload_length)"]).toBe(20);
});
