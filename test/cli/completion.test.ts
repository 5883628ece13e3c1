import { afterAll, beforeAll, expect, test } from "bun:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { FakeAdminServer, sampleStatus } from "./fake-admin-server.ts";
import { runMain } from "./run-main.ts";

let server: FakeAdminServer;

beforeAll(() => {
  server = new FakeAdminServer();
  const status = sampleStatus();
  const [model] = status.models;
  if (model === undefined) throw new Error("The sample has no model");
  const hostile = { ...model, id: "$(reboot)", aliases: ["`x`", "a b", "-rf"] };
  const models = [...status.models, { ...model, id: "qwen3:8b", aliases: [] }, hostile];
  server.answer("/admin/status", { ...status, models });
});

afterAll(() => server.stop());

async function complete(words: readonly string[], host = server.url): Promise<string[]> {
  const { code, stdout, stderr } = await runMain(["__complete", "--", ...words], {
    CORTEX_HOST: host,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => line.split("\t")[0] ?? "");
}

test.each([
  [["stat"], ["status"]],
  [["un"], ["unload", "unpin", "undrain"]],
  [["--v"], ["--version"]],
  [["__"], []],
  [
    ["config", ""],
    ["init", "check", "show", "diff", "schema"],
  ],
  [["config", "init", "--ki"], ["--kind"]],
  [["neuron", "rp"], ["rpc"]],
  [["neuron", "rpc", "--thr"], ["--threads"]],
  [["help", "config", "sh"], ["show"]],
  [
    ["completion", ""],
    ["bash", "zsh", "fish"],
  ],
  [["connect", "cod"], ["codex"]],
  [["load", "--con"], ["--context"]],
  [["ls", "-q"], ["-q"]],
  [["serve", "--me"], ["--metrics-listen"]],
  [["gateway", "--log-level", "w"], ["warn"]],
  [["gateway", "--log-level=w"], ["--log-level=warn"]],
  [["gateway", "--config", "x"], [":files"]],
  [["gateway", "--listen", ""], []],
  [["config", "check", ""], [":files"]],
  [["status", "--json", "--js"], []],
  [["neuron", "--device", "0", "--dev"], ["--device"]],
  [["load", "qwen"], ["qwen3:8b"]],
  [
    ["show", ""],
    ["smollm2", "small", "other", "small", "qwen3:8b"],
  ],
  [["drain", ""], ["box"]],
  [["load", "--neuron", "b"], ["box"]],
  [["load", "qwen3:8b", "--neuron=b"], ["--neuron=box"]],
  [["load", "--", "qw"], ["qwen3:8b"]],
  [["nonsense", ""], []],
] as const)("%p may go on with %p", async (words, expected) => {
  expect(await complete(words)).toEqual([...expected]);
});

test("where a command takes no more words, its flags are offered", async () => {
  const offered = await complete(["load", "other", ""]);
  expect(offered).toContain("--dry-run");
  expect(offered).toContain("-q");
});

test("every flag of every command that is shown is offered", async () => {
  const shown = COMMANDS.filter(({ hidden }) => !hidden);
  for (const command of shown) {
    const flags = Object.keys(command.args).filter(
      (name) => command.args[name]?.type !== "positional",
    );
    const offered = await complete([...command.name.split(" "), "-"]);
    expect(offered).toEqual(expect.arrayContaining(flags.map((name) => `--${name}`)));
  }
}, 60_000);

test("--host is asked, and no gateway and a wrong address are silence", async () => {
  expect(await complete(["load", "--host", server.url, "qw"], "http://127.0.0.1:9")).toEqual([
    "qwen3:8b",
  ]);
  expect(await complete(["load", "qw"], "http://127.0.0.1:9")).toEqual([]);
  expect(await complete(["load", "qw"], "ftp://nonsense/")).toEqual([]);
});

test("a gateway that never answers is given up", async () => {
  const silent = new FakeAdminServer();
  try {
    expect(await complete(["load", "qw"], silent.url)).toEqual([]);
  } finally {
    await silent.stop();
  }
});

test("there is a script for bash, zsh and fish, and for no other shell", async () => {
  expect((await runMain(["completion", "zsh"])).stdout).toStartWith("#compdef cortex\n");
  expect((await runMain(["completion", "bash"])).stdout).toContain("complete -F _cortex cortex");
  expect((await runMain(["completion", "fish"])).stdout).toContain("complete -c cortex -f");
  const { code, stderr } = await runMain(["completion", "csh"]);
  expect(code).toBe(2);
  expect(stderr).toContain("No completion for csh");
});
