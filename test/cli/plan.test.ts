import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeAdminServer } from "./fake-admin-server.ts";
import { runMain } from "./run-main.ts";

let server: FakeAdminServer;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cortex-plan-"));
  server = new FakeAdminServer();
  const candidate = { neuron: "box", state: "ready", in_flight: 0, slots: 4, seconds: 0.5 };
  server.answer("/admin/plan", {
    model: "m",
    choice: { neuron: "box", reason: "prefix", seconds: 0.5, cold: false },
    prompt_tokens: 900,
    candidates: [{ ...candidate, cached_tokens: 640, uncached_tokens: 260 }],
  });
});

afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function plan(...args: readonly string[]) {
  return await runMain(["plan", "m", "--host", server.url, ...args]);
}

test("a text becomes a user's message, and the table shows what of it is cached", async () => {
  const { code, stdout } = await plan(
    "--prompt",
    write("question.txt", "{ Why?\n"),
    "--session",
    "s",
  );
  expect(code).toBe(0);
  expect(server.asked[0]?.body).toEqual({
    ...{ model: "m", session: "s", messages: [{ role: "user", content: "{ Why?\n" }] },
  });
  expect(stdout).toMatch(/SECONDS +CACHED +UNCACHED/);
  expect(stdout).toMatch(/box +ready +0\.5 +640 +260 +0 +4/);
});

test("a request's body goes as it is, for another model", async () => {
  const body = {
    model: "elsewhere",
    system: "Be brief",
    messages: [{ role: "user", content: "Hi" }],
  };
  const path = write("body", `${JSON.stringify(body, undefined, 2)}\n`);
  expect((await plan("--prompt", path, "--json")).code).toBe(0);
  expect(server.asked[0]?.body).toEqual({ ...body, model: "m" });
});

test("what holds no prompt is refused with its name", async () => {
  const refusalOf = async (...args: readonly string[]) => {
    const { code, stderr } = await plan(...args);
    expect(code).toBe(2);
    return stderr;
  };
  const none = join(folder, "none");
  expect(await refusalOf("--prompt", none)).toContain(`Cannot read ${none}`);
  expect(await refusalOf("--prompt", folder)).toContain(`Cannot read ${folder}`);
  expect(await refusalOf("--prompt", write("empty", " \n"))).toContain("empty is empty");
  expect(await refusalOf("--prompt", "-")).toContain("standard input is empty");
  expect(await refusalOf("--prompt", write("cut.json", '{"messages":'))).toContain("cut.json: ");
  expect(await refusalOf("--prompt", write("list.json", "[]"))).toContain("it is no JSON object");
  const other = await refusalOf("--prompt", write("other", '{"message":"Hi"}'));
  expect(other).toContain("other has none of messages, input, prompt");
  const both = await refusalOf("--prompt", write("text", "Hi"), "--prompt-tokens", "5");
  expect(both).toContain("Cannot take --prompt with --prompt-tokens");
  const large = write("large", "x".repeat(16 * 1024 * 1024 + 1));
  expect(await refusalOf("--prompt", large)).toContain("it has more than 16777216 bytes");
  expect(server.asked).toEqual([]);
});
