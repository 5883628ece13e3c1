import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { type CommandName, commandOutputSchema } from "../../src/protocol/command-output.ts";
import { expectPublished } from "./expect-published.ts";
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
  const drained = {
    neuron: "box",
    state: "drained",
    in_flight: 0,
    moved: [],
    not_moved: [],
    plan: [],
  };
  server.answer("/admin/drain", drained);
  const summary = {
    ...{ number: 7, id: "req_7", time_ms: 0, endpoint: "chat", model: "other", stream: true },
    ...{ neuron: "box", reason: "cold", outcome: "ok", status: 200, seconds: 9.5 },
    ...{ load_seconds: 8, attempts: 1, evicted: ["smollm2"], client: "probe/1\u001b[2J" },
  };
  const parts = {
    ...{ queue_seconds: 0, load_seconds: 3, prefill_seconds: 0.25, crowding: 1 },
    ...{ decode_seconds: 0, regret_seconds: 0 },
  };
  const weighed = { chosen: true, cold: true, slots: 4, cached_tokens: 0, seconds: 3.25, parts };
  const evicted = { model: "smollm2", strategy: "lru", idle_seconds: 310, was_busy: false };
  const load = { joined: true, origin: "request", waited_seconds: 8, evicted: [evicted] };
  server.answer("/admin/requests/req_7", {
    ...summary,
    choices: [
      {
        ...{ after_seconds: 0, neuron: "box", reason: "cold" },
        ...{ candidates: [{ neuron: "box", ...weighed }], load, sent_seconds: 8 },
        rejected: [{ neuron: "gone", why: "is down" }],
      },
    ],
  });
  const unknown = { status: 404, code: "request_not_found", message: "Request is not known" };
  for (const name of ["other", "nothing"]) server.fail(`/admin/requests/${name}`, unknown);
  const line = {
    ...{ id: "r-3", at_ms: 0, level: "warn", kind: "neuron", text: "Neuron is down" },
    fields: { neuron: "box", cause: "refused\u001b[2J" },
  };
  const events = `id: r-3\nevent: log\ndata: ${JSON.stringify(line)}\n\n`;
  server.streams.set("/admin/events", events);
  server.streams.set("/admin/logs?neuron=box%201&follow=false", events);
  const feed = {
    gateway: { set: [["gateway", { ...sampleGateway, in_flight: 1 }]] },
    neurons: { set: [["box", { kind: "neuron", state: "up", in_flight: 1, devices: [device] }]] },
    models: {
      set: [
        ["smollm2", { ...model, state: "ready", replicas: [ready] }],
        ["other", { ...model, state: "absent", replicas: [] }],
      ],
    },
    requests: { set: [["7", running]] },
  };
  server.streams.set("/ui/feed", `event: snapshot\ndata: ${JSON.stringify(feed)}\n\n`);
  server.answer("/admin/requests", { newest: 7, requests: [summary] });
  server.answer("/admin/undrain", { ...drained, state: "none" });
});

afterEach(() => server.stop());

/** Pieces of the dashboard's feed. */
const sampleGateway = { state: "ok", waiting: 0, loads: 0, requests_unlisted: 0 };
const device = { index: 0, total_bytes: 8 * 1024 ** 3, free_bytes: 6 * 1024 ** 3 };
const model = { in_flight: 1, waiting: 0 };
const ready = { neuron: "box", state: "ready", slots: 4, decode_tokens_per_second: 81.25 };
const running = {
  ...{ model: "smollm2", endpoint: "chat", neuron: "box", reason: "only", phase: "answering" },
  ...{ stream: true, started_ms: 0, ttft_seconds: 0.25, tokens: 12 },
};

const LINES: readonly (readonly [CommandName, ...string[]])[] = [
  ["status"],
  ["ps"],
  ["show", "small"],
  ["pin", "smollm2"],
  ["unpin", "smollm2", "--neuron", "box"],
  ["unpin", "smollm2", "--dry-run"],
  ["models"],
  ["plan", "other"],
  ["top", "--once"],
  ["explain", "req_7"],
  ["explain", "other"],
  ["events", "--once", "--neuron", "box", "--kind", "neuron"],
  ["logs", "--level", "warn", "--lines", "1"],
  ["logs", "--neuron", "box 1"],
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

test.each([
  ["top", "/ui/feed"],
  ["events", "/admin/events"],
] as const)("%s --json goes on with lines of its schema after a break", async (name, path) => {
  const main = `${import.meta.dir}/../../src/main.ts`;
  const child = Bun.spawn([process.execPath, main, name, "--json", "--host", server.url], {
    stdout: "pipe",
    stderr: "ignore",
  });
  // What it follows ends after each snapshot; another event comes with the next connection.
  let text = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const lines = text.split("\n").length - 1;
    if (lines === 1) {
      server.streams.set(path, server.streams.get(path)?.replaceAll("r-3", "r-4") ?? "");
    }
    if (lines >= 2) child.kill("SIGINT");
  }
  expect(await child.exited).toBe(0);
  expectPublished(text);
  expect(text.split("\n").length).toBeGreaterThanOrEqual(3);
});

test("version prints its schema, too, without a gateway", async () => {
  const line: unknown = JSON.parse((await runMain(["version", "--json"])).stdout);
  expect(Value.Check(commandOutputSchema("version"), line)).toBe(true);
});

test("top prints neurons, models that are in memory and requests once where there is no terminal", async () => {
  const { code, stdout } = await runMain(["top", "--host", server.url]);
  expect(code).toBe(0);
  expect(stdout).toContain("cortex ok  1 in flight");
  expect(stdout).toMatch(/^box +up +1 +2\.0 GiB +8\.0 GiB$/m);
  expect(stdout).toMatch(/^smollm2 +ready +box +1 +0 +4 +81\.3$/m);
  expect(stdout).toMatch(/^smollm2 \(chat\) +answering +box +only +[\d.]+ +0\.25 s +12$/m);
  expect(stdout).not.toContain("other");
  expect(stdout).not.toContain("\u001b");
});

test("events are filtered, and shown without what could take over a terminal", async () => {
  const run = (...rest: string[]) => runMain(["events", "--once", ...rest, "--host", server.url]);
  expect((await run()).stdout).toBe(
    "1970-01-01T00:00:00.000Z WARN  Neuron is down neuron=box cause=refused[2J\n",
  );
  for (const other of [
    ["--neuron", "bix"],
    ["--kind", "model"],
    ["--model", "m"],
  ]) {
    expect(await run(...other)).toMatchObject({ code: 0, stdout: "" });
  }
  const wrong = await run("--kind", "neurons");
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain("try: --kind neuron");
});

describe("explain", () => {
  const run = (target: string) => runMain(["explain", target, "--host", server.url]);

  test("says of a request where it went, what it waited for and what had to go", async () => {
    const { code, stdout } = await run("req_7");
    expect(code).toBe(0);
    expect(stdout).toContain("box, which has to load the model first");
    expect(stdout).toContain("load 3.0 + prefill 0.3 x 1.0");
    expect(stdout).toContain("gone is down");
    expect(stdout).toContain(
      "Waited 8.00 s for the load (joined a load that another request began",
    );
    expect(stdout).toContain(
      "Evicted for it: smollm2, first in the order of lru, unused for 310.0 s",
    );
    expect(stdout).not.toContain("\u001b");
  });

  test("says of a model where a request would go, and lists the last ones", async () => {
    const { code, stdout } = await run("other");
    expect(code).toBe(0);
    expect(stdout).toContain("other would go to box and be loaded there");
    expect(stdout).toMatch(/^req_7 +other +box +cold +ok/m);
  });

  test("of what is neither says so", async () => {
    const message = "Model 'nothing' does not exist";
    server.fail("/admin/plan", { status: 404, code: "model_not_found", message });
    const { code, stderr } = await run("nothing");
    expect(code).toBe(1);
    expect(stderr).toContain("Cannot explain 'nothing'");
    expect(stderr).toContain("X-Request-Id");
  });
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

  test("of a load asks with the context and the slots that it is given", async () => {
    await run("load", "other", "--context", "4096", "--slots", "2");
    const [plan] = server.asked.filter(({ path }) => path === "/admin/plan");
    expect(plan?.body).toEqual({ model: "other", context: 4096, slots: 2 });
  });

  test("of an unload respects what a profile keeps", async () => {
    const status = sampleStatus();
    const [first, ...rest] = status.models;
    const replicas = (first?.replicas ?? []).map((one) => ({ ...one, pinned: false }));
    const kept = { ...(first as (typeof status.models)[number]), replicas, replicas_min: 1 };
    server.answer("/admin/status", { ...status, models: [kept, ...rest] });
    const { code, stdout } = await run("unload", "small");
    expect(code).toBe(1);
    expect(stdout).toContain("smollm2 is kept on 1 neurons by its profile; --force");
    const other = { ...replicas[0], neuron: "box2" };
    const two = [...status.neurons, { ...status.neurons[0], name: "box2" }];
    const models = [{ ...kept, replicas: [...replicas, other] }, ...rest];
    server.answer("/admin/status", { ...status, neurons: two, models });
    expect((await run("unload", "small", "--neuron", "box")).code).toBe(0);
    expect(changed()).toEqual([]);
  });

  test("of a drain asks the gateway for no more than that, and tells its refusal", async () => {
    const message = "Neuron 'bix' is not configured";
    server.fail("/admin/drain", { status: 400, code: "invalid_request", message });
    const { code, stderr } = await run("drain", "bix");
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(server.asked.map(({ body }) => body)).toEqual([{ neuron: "bix", dry_run: true }]);
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
