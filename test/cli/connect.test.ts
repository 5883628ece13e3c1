import { afterEach, beforeEach, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { CLIENTS, listClientSettings } from "../../src/cli/connect/client-settings.ts";
import { commandOutputSchema } from "../../src/protocol/command-output.ts";
import { FakeAdminServer, sampleStatus } from "./fake-admin-server.ts";
import { runMain } from "./run-main.ts";

let server: FakeAdminServer;

beforeEach(() => {
  server = new FakeAdminServer();
  server.answer("/admin/status", sampleStatus());
});

afterEach(() => server.stop());

const run = (...args: string[]) => runMain(["connect", ...args, "--host", server.url]);
const gateway = { url: "http://gateway:31313", model: "it's:8b", context: 8192 };

test("connect prints what a shell takes, for a model that is loaded", async () => {
  const { code, stdout } = await run("claude-code");
  expect(code).toBe(0);
  expect(stdout).toContain(`export ANTHROPIC_BASE_URL='${server.url}'\n`);
  expect(stdout).toContain("export ANTHROPIC_DEFAULT_HAIKU_MODEL='smollm2'\n");
});

test("connect prints one object of its schema, with the name that was asked for", async () => {
  const line: unknown = JSON.parse((await run("zed", "--model", "small", "--json")).stdout);
  expect(Value.Check(commandOutputSchema("connect"), line)).toBe(true);
  expect(line).toMatchObject({ client: "zed", model: "small" });
});

test("an unknown client and an unknown model are refused", async () => {
  expect(await run("emacs")).toMatchObject({ code: 2, stdout: "" });
  expect((await run("codex", "--model", "none")).stderr).toContain("'none' does not exist");
});

test("every client's settings can be read by what takes them", async () => {
  for (const client of CLIENTS) {
    for (const { where, text } of listClientSettings(client, gateway)) {
      if (where.endsWith(".json")) JSON.parse(text);
      if (where.endsWith(".toml")) expect(Bun.TOML.parse(text)).toMatchObject({ model: "it's:8b" });
      if (where !== "your shell") continue;
      const shell = Bun.spawn(["sh", "-euc", `${text}\nenv`], { env: { PATH: "/usr/bin:/bin" } });
      const said = await new Response(shell.stdout).text();
      expect(said).toMatch(/_API_KEY=cortex|ANTHROPIC_MODEL=it's:8b/);
      expect(await shell.exited).toBe(0);
    }
  }
});
