import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VERSION } from "../../src/base/version.ts";
import { runMain } from "./run-main.ts";

const COMMANDS = [
  "up",
  "gateway",
  "neuron",
  "status",
  "models",
  "load",
  "unload",
  "plan",
  "drain",
  "undrain",
  "version",
];

test("help lists every command, and none that is hidden", async () => {
  for (const args of [[], ["--help"], ["help"]]) {
    const { code, stdout, stderr } = await runMain(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const name of COMMANDS) expect(stdout).toContain(`\n  ${name}`);
    expect(stdout).not.toContain("__probe");
  }
});

test.each(COMMANDS)(
  "%s --help shows its flags, examples and exit codes without colours",
  async (name) => {
    const { code, stdout } = await runMain([name, "--help"]);
    expect(code).toBe(0);
    for (const part of ["Usage: cortex ", "Flags:", "Examples:", "Exit codes:", "  0  done"]) {
      expect(stdout).toContain(part);
    }
    expect(stdout).not.toContain("\u001B");
  },
);

test("help of an alias is its command's", async () => {
  expect((await runMain(["serve", "--help"])).stdout).toBe(
    (await runMain(["help", "gateway"])).stdout,
  );
});

test("the version is printed in three ways", async () => {
  for (const args of [["version"], ["--version"], ["-V"]]) {
    expect(await runMain(args)).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: "" });
  }
  const { stdout } = await runMain(["version", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ version: VERSION, compiled: false });
});

test.each([
  [["statsu"], "Unknown command statsu", "cortex status"],
  [["--jsn"], "Unknown flag --jsn", "cortex --help"],
  [["status", "--jsn"], "Unknown flag --jsn", "cortex status --json"],
  [["status", "--host", "--json"], "Cannot read --host", "cortex status --help"],
  [["status", "--host="], "Cannot read --host", "cortex status --help"],
  [["status", "--host", "ftp://x/y"], "Cannot read the gateway's address ftp://x/y", "--host http"],
  [["status", "--json=yes"], "Cannot read --json=yes", "cortex status --help"],
  [["status", "--timeout", "soon"], "Cannot read --timeout soon", "--timeout 30"],
  [["status", "--json", "--host", "a", "--host", "b"], "--host was given twice", "--help"],
  [["status", "extra"], "Unexpected argument extra", "cortex status --help"],
  [["load"], "The argument MODEL is missing", "cortex load --help"],
  [["load", "m", "--slots", "-1"], "Cannot read --slots -1", "cortex load --help"],
  [["gateway", "--log-level", "loud"], "Cannot read --log-level loud", "cortex gateway --help"],
  [["neuron", "--device", "gpu0"], "Cannot read --device gpu0", "cortex neuron --help"],
  [["up", "--port", "70000"], "Cannot read --port 70000", "cortex up --help"],
] as const)("%p is refused in three lines with exit code 2", async (args, what, next) => {
  const { code, stdout, stderr } = await runMain(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  const lines = stderr.split("\n");
  expect(lines).toHaveLength(4);
  expect(lines[0]).toStartWith("cortex: ");
  expect(lines[0]).toContain(what);
  expect(lines[1]).toMatch(/^ {2}why: .{5}/);
  expect(lines[2]).toStartWith("  try: ");
  expect(lines[2]).toContain(next);
});

test("a configuration is checked without a start, with exit code 2 for errors", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cortex-cli-"));
  try {
    const file = join(folder, "cortex.toml");
    await Bun.write(file, "[gateway]\nlisten = 3\n[eviction]\nstrategi = 'lru'\n");
    const bad = await runMain(["gateway", "--check", "--config", file]);
    expect(bad.code).toBe(2);
    expect(bad.stderr).toContain(`${file} has 2 errors`);
    expect(bad.stderr).toContain(`${file}:2:10: gateway.listen is 3`);
    expect(bad.stderr).toContain("did you mean strategy?");
    await Bun.write(file, "");
    const good = await runMain(["gateway", "--check", "--config", file]);
    expect(good).toEqual({ code: 0, stdout: `${file}: no errors\n`, stderr: "" });
    const flag = await runMain(["neuron", "--check", "--memory-limit-mib", "much"]);
    expect(flag.stderr).toContain('--memory-limit-mib: memory.limit_mib is "much"');
    const neuron = await runMain(["gateway", "--check", "--neuron", "http://box:1"]);
    expect(neuron.stderr).toContain("--neuron: neurons[0].name");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("help and client commands load no role and no native code", async () => {
  const script = `process.argv = ["bun", "main.ts", "status", "--host", "127.0.0.1:9"];
    process.on("exit", () => {
      const loaded = Object.keys(require.cache);
      const parts = loaded.map((path) => /\\/(cli|gateway|neuron|cuda)\\//.exec(path)?.[1]);
      process.stdout.write(JSON.stringify([...new Set(parts.filter(Boolean))]));
    });
    await import(${JSON.stringify(join(import.meta.dir, "../../src/main.ts"))});`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "ignore" });
  expect(await new Response(child.stdout).text()).toBe('["cli"]');
});
