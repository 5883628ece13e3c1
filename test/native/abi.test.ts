import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { EVENT_KIND, STATUS, SUBMIT_KIND } from "../../cuda/engine.ts";
import { ABI_STAMP, openEngine, StaleLibraryError } from "../../cuda/index.ts";
import { LIBRARY, SKIP_REASON } from "./harness.ts";

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
  expect(inC["sizeof(nrn_event)"]).toBe(24);
  expect(inC["offsetof(nrn_event, kind)"]).toBe(4);
  expect(inC["offsetof(nrn_event, request)"]).toBe(8);
  expect(inC["offsetof(nrn_event, status)"]).toBe(16);
  expect(inC["offsetof(nrn_event, payload_length)"]).toBe(20);
});

/** A shared library with nothing but a stamp, as one of another version would have. */
async function libraryWithStamp(stamp: number, folder: string): Promise<string> {
  const source = join(folder, "stamp.c");
  const path = join(folder, `libneuron_${stamp}.so`);
  await Bun.write(source, `unsigned nrn_abi_version(void) { return ${stamp}u; }\n`);
  const built = Bun.spawnSync([compiler ?? "cc", "-shared", "-fPIC", "-o", path, source]);
  if (!built.success) throw new Error(built.stderr.toString());
  return path;
}

test.skipIf(compiler === null)(
  "a library of another interface is refused, with one line that says what to do",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "cortex-abi-"));
    try {
      // The first interface had a number that somebody raised by hand, and none of its calls need be there.
      for (const stamp of [1, ABI_STAMP ^ 1]) {
        const path = await libraryWithStamp(stamp >>> 0, folder);
        const open = () => openEngine(path);
        expect(open).toThrow(StaleLibraryError);
        expect(open).toThrow(
          /^Cannot use '.*': it was built for another version of cortex .*: bun scripts\/build-native\.ts$/,
        );
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);

test.skipIf(SKIP_REASON !== undefined)(
  "the library's stamp is that of the header beside the binding",
  async () => {
    const header = await Bun.file(join(INCLUDE, "neuron.h")).bytes();
    const digest = new Bun.CryptoHasher("sha256").update(header).digest("hex");
    expect(ABI_STAMP.toString(16).padStart(8, "0")).toBe(digest.slice(0, 8));
    expect(openEngine(LIBRARY).path).toBe(LIBRARY);
  },
);
