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

test("the clients that want it are told the model's context, in tokens", async () => {
  expect((await run("claude-code")).stdout).toContain("CLAUDE_CODE_MAX_CONTEXT_TOKENS='8192'");
  expect((await run("codex")).stdout).toContain("\nmodel_context_window = 8192\n");
  expect((await run("zed")).stdout).toContain('"max_tokens": 8192');
  const [settings] = listClientSettings("claude-code", { ...gateway, context: 0 });
  expect(settings?.text).not.toContain("CONTEXT_TOKENS");
});

test("settings for a client elsewhere have the address that it reaches", async () => {
  const { stdout, stderr } = await run("codex", "--url", "models.example:8080");
  expect(stdout).toContain('base_url = "http://models.example:8080/v1"');
  expect(stderr).toBe("");
  const near = await run("codex");
  expect(near.stderr).toContain(`${server.url} is good on this machine alone`);
  expect(near.stderr).toContain("gateway.listen");
  expect((await run("codex", "--url", "http://a/b")).code).toBe(2);
});

test("--wait reports the first request of that client and of no other", async () => {
  const other = {
    ...{ number: 8, id: "other", time_ms: 0, model: "smollm2", client: "curl/8.5", stream: true },
    ...{ outcome: "ok", status: 200, seconds: 1, attempts: 1, evicted: [] },
  };
  const running = {
    ...other,
    number: 9,
    id: "early",
    client: "claude-cli/2.1",
    outcome: "running",
  };
  server.answer("/admin/requests", { newest: 9, requests: [running, other] });
  const done = run("claude-code", "--wait", "--json");
  while (!server.asked.some(({ path }) => path === "/admin/requests")) await Bun.sleep(2);
  const first = { ...running, outcome: "ok", ttft_seconds: 0.25 };
  const second = { ...first, number: 10, id: "late" };
  server.answer("/admin/requests", { newest: 10, requests: [second, first, other] });
  const { code, stdout } = await done;
  expect(code).toBe(0);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(Value.Check(commandOutputSchema("connect"), line)).toBe(true);
  expect(lines[1]).toMatchObject({ first_request: { id: "early", ttft_seconds: 0.25 } });
  server.answer("/admin/requests", {
    newest: 11,
    requests: [{ ...first, outcome: "load_failed", status: 503 }],
  });
  const failed = await run("claude-code", "--wait");
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain("cortex explain early");
});
