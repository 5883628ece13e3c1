import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { type CommandName, commandOutputSchema } from "../../src/protocol/command-output.ts";
import { FakeAdminServer, sampleStatus } from "./fake-admin-server.ts";
import { runMain } from "./run-main.ts";

let server: FakeAdminServer;

beforeEach(() => {
  server = new FakeAdminServer();
  server.answer("/admin/status", sampleStatus());
  const candidate = { neuron: "box", state: "absent", in_flight: 0, slots: 4, seconds: 3.25 };
  server.answer("/admin/plan", {
    model: "other",
    choice: { neuron: "box", reason: "cold", seconds: 3.25, cold: true },
    candidates: [{ ...candidate, fits: "after", evicts: ["smollm2"] }],
    rejected: [{ neuron: "gone", why: "is down" }],
  });
  server.answer("/admin/load", { model: "smollm2", neuron: "box", seconds: 1 });
  server.answer("/admin/unload", { model: "m", unloaded: [{ neuron: "box", freed_bytes: 5 }] });
  const drained = { neuron: "box", state: "drained", in_flight: 0, moved: [], not_moved: [] };
  server.answer("/admin/drain", drained);
  server.answer("/admin/undrain", { ...drained, state: "none" });
});

afterEach(() => server.stop());

const LINES: readonly (readonly [CommandName, ...string[]])[] = [
  ["status"],
  ["ps"],
  ["show", "small"],
  ["pin", "smollm2"],
  ["unpin", "smollm2", "--neuron", "box"],
  ["unpin", "smollm2", "--dry-run"],
  ["models"],
  ["plan", "other"],
  ["load", "smollm2"],
  ["load", "other", "--dry-run"],
  ["unload", "m"],
  ["unload", "smollm2", "--force", "--dry-run"],
  ["drain", "box"],
  ["drain", "box", "--dry-run"],
  ["undrain", "box"],
  ["undrain", "box", "--dry-run"],
];

test.each(LINES)("%s %p prints one line of its published schema", async (name, ...rest) => {
  const { code, stdout, stderr } = await runMain([name, ...rest, "--json", "--host", server.url]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toEndWith("}\n");
  expect(stdout.trimEnd()).not.toContain("\n");
  const line: unknown = JSON.parse(stdout);
  expect(line).toMatchObject({ schema_version: 1, command: name });
  const wrong = [...Value.Errors(commandOutputSchema(name), line)];
  expect(wrong.map(({ path, message }) => `${path} ${message}`)).toEqual([]);
});

test("version prints its schema, too, without a gateway", async () => {
  const line: unknown = JSON.parse((await runMain(["version", "--json"])).stdout);
  expect(Value.Check(commandOutputSchema("version"), line)).toBe(true);
});

describe("--dry-run", () => {
  const run = (...args: string[]) => runMain([...args, "--dry-run", "--host", server.url]);
  const changed = () =>
    server.asked.filter(({ method, path }) => method === "POST" && path !== "/admin/plan");

  test("of a load names what would be evicted and changes nothing", async () => {
    const { code, stdout } = await run("load", "other");
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "Would evict smollm2 on box\nWould load other on box\n",
    });
    expect(changed()).toEqual([]);
  });

  test("of a load onto a neuron that would not take it fails with the reason", async () => {
    const { code, stdout } = await run("load", "other", "--neuron", "gone");
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: "Nothing would change\ngone is down\n",
    });
  });

  test("of an unload respects a pin", async () => {
    const { code, stdout } = await run("unload", "small");
    expect(code).toBe(1);
    expect(stdout).toContain("smollm2 is pinned on box; --force unloads it all the same");
    expect((await run("unload", "small", "--force")).stdout).toBe(
      "Would unload smollm2 on box (1.5 GiB) (2 in flight)\n",
    );
    expect(changed()).toEqual([]);
  });

  test("of a drain counts what runs, and refuses a neuron that is not there", async () => {
    expect((await run("drain", "box")).stdout).toBe(
      "Would drain box (2 in flight)\nWould drain smollm2 on box (2 in flight)\n",
    );
    const { code, stderr } = await run("drain", "bix");
    expect(code).toBe(1);
    expect(stderr).toContain("Neuron 'bix' is not configured");
    expect(changed()).toEqual([]);
  });
});

test("--quiet prints nothing on success and errors all the same", async () => {
  const quiet = ["--quiet", "--host", server.url];
  for (const command of [["load", "smollm2"], ["status"], ["drain", "box"]]) {
    const { code, stdout, stderr } = await runMain([...command, ...quiet]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "" });
  }
  server.fail("/admin/load", { status: 409, code: "conflict", message: "In use: by others" });
  const { code, stderr } = await runMain(["load", "smollm2", "-q", "--host", server.url]);
  expect(code).toBe(1);
  expect(stderr).toContain("In use");
});
