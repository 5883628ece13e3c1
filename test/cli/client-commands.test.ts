import { afterEach, beforeEach, expect, test } from "bun:test";
import { expectPublished } from "./expect-published.ts";
import { FakeAdminServer, sampleStatus } from "./fake-admin-server.ts";
import { runMain } from "./run-main.ts";

let server: FakeAdminServer;

beforeEach(() => {
  server = new FakeAdminServer();
});

afterEach(() => server.stop());

const run = (...args: string[]) => runMain([...args, "--host", server.url]);

test("status prints an aligned table of neurons, devices and models", async () => {
  server.answer("/admin/status", sampleStatus());
  const { code, stdout, stderr } = await run("status");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.split("\n")).toEqual([
    "cortex 0.1.0  ok  up 3 min  2 in flight  0 waiting  0 loading  eviction lru",
    "",
    "NEURON  STATE  DEVICE    FREE   TOTAL  IN FLIGHT   SEEN  NAME",
    "box     up     0 gpu   60 GiB  80 GiB          2  3 min  NVIDIA H100",
    "",
    "MODEL             STATE  NEURON  DEVICES   MEMORY  CONTEXT  SLOTS  IN FLIGHT  WAITING  TOK/S   USED",
    "smollm2 (pinned)  ready  box     0        1.5 GiB     8192    2/4          2        0   81.3  5 min",
    "1 more can be loaded on demand: cortex models",
    "",
  ]);
});

test("status exits with 3 and names what is wrong", async () => {
  const sample = sampleStatus({ state: "degraded" });
  const [neuron] = sample.neurons;
  const [model] = sample.models;
  const [replica] = model?.replicas ?? [];
  if (!neuron || !model || !replica) throw new Error("The sample is empty");
  server.answer("/admin/status", {
    ...sample,
    neurons: [neuron, { ...neuron, name: "gone", state: "down", cause: "no answer", devices: [] }],
    models: [
      {
        ...model,
        replicas: [{ ...replica, state: "failed", cause: "file is damaged", cooldown_seconds: 9 }],
      },
    ],
  });
  const { code, stdout } = await run("status");
  expect(code).toBe(3);
  expect(stdout).toContain("neuron gone is down: no answer");
  expect(stdout).toContain("smollm2 on box is failed: file is damaged (tried again in 9 s)");
});

test("status --json puts the gateway's answer into the envelope", async () => {
  const status = sampleStatus();
  server.answer("/admin/status", status);
  const { code, stdout } = await run("status", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ schema_version: 1, command: "status", ...status });
});

test("ps lists what is in memory and nothing else", async () => {
  server.answer("/admin/status", sampleStatus());
  const { code, stdout } = await run("ps");
  expect({ code, stdout: stdout.split("\n") }).toEqual({
    code: 0,
    stdout: [
      "MODEL             NEURON  STATE  SLOTS  TOK/S   MEMORY  IDLE",
      "smollm2 (pinned)  box     ready    2/4   81.3  1.5 GiB  busy",
      "",
    ],
  });
  server.answer("/admin/status", sampleStatus({ models: [] }));
  expect((await run("ps")).stdout).toBe("Nothing is loaded\n");
});

test("show tells of one model by its alias, and which one does not exist", async () => {
  server.answer("/admin/status", sampleStatus());
  const { stdout } = await run("show", "small");
  expect(stdout).toStartWith("smollm2\n");
  expect(stdout).toMatch(/\n {2}quantization +Q4_1\n/);
  expect(stdout).toMatch(/\nbox +ready +0 +1\.5 GiB +8192 +2\/4 +- +81\.3 +yes\n/);
  expect((await run("show", "none")).stderr).toContain("Model 'none' does not exist");
});

test("unpin takes a pin back where it is, and pin loads nothing", async () => {
  server.answer("/admin/status", sampleStatus());
  server.answer("/admin/load", { model: "smollm2", neuron: "box", seconds: 0 });
  const loads = () => server.asked.filter(({ path }) => path === "/admin/load");
  expect((await run("pin", "small")).stdout).toBe("smollm2 is pinned on box\n");
  expect(loads()).toEqual([]);
  expect((await run("unpin", "small")).stdout).toBe("smollm2 is not pinned any more on box\n");
  const body = { model: "smollm2", neuron: "box", pinned: false, only_ready: true };
  expect(loads()).toEqual([{ method: "POST", path: "/admin/load", body }]);
  const { code, stderr } = await run("pin", "other");
  expect(code).toBe(1);
  expect(stderr).toContain("cortex load other --pin");
});

test("models lists what is on disk, too", async () => {
  server.answer("/admin/status", sampleStatus());
  const { stdout } = await run("models");
  const lines = stdout.split("\n");
  expect(lines[1]).toMatch(/^smollm2 +ready +94 MiB +135M +Q4_1 +8192 +chat +box +small$/);
  expect(lines[2]).toMatch(/^other +absent /);
  const { models } = JSON.parse((await run("models", "--json")).stdout) as { models: object[] };
  expect(models).toHaveLength(2);
});

test("load sends its flags and says where the model went", async () => {
  server.answer("/admin/load", { model: "smollm2", neuron: "box", seconds: 1.25 });
  const { code, stdout } = await run("load", "small", "--context", "4096", "--slots=2", "--pin");
  expect({ code, stdout }).toEqual({ code: 0, stdout: "smollm2 is ready on box after 1.3 s\n" });
  expect(server.asked).toEqual([
    {
      method: "POST",
      path: "/admin/load",
      body: { model: "small", context: 4096, slots: 2, pinned: true },
    },
  ]);
});

test("a model that does not fit ends with exit code 7", async () => {
  const message = "Cannot load model 'big': needs 18 GiB, device 0 has 11 GiB free";
  server.fail("/admin/load", { status: 507, code: "does_not_fit", message });
  const { code, stderr } = await run("load", "big");
  expect(code).toBe(7);
  expect(stderr.split("\n")).toEqual([
    "cortex: Cannot load model 'big'",
    "  why: needs 18 GiB, device 0 has 11 GiB free",
    "  try: cortex status, then cortex unload MODEL, or a smaller --context",
    "",
  ]);
});

test("an unknown model is an error of the gateway, with exit code 1", async () => {
  server.fail("/admin/plan", {
    status: 404,
    code: "model_not_found",
    message: "Model 'x' does not exist",
  });
  const { code, stderr } = await run("plan", "x");
  expect(code).toBe(1);
  expect(stderr).toContain("Model 'x' does not exist");
  expect(stderr).toContain("try: cortex models");
});

test("unload says what was freed, or that nothing was loaded", async () => {
  const unloaded = [{ neuron: "box", freed_bytes: 1.5 * 1024 ** 3 }];
  server.answer("/admin/unload", { model: "m", unloaded });
  const { stdout } = await run("unload", "m", "--neuron", "box", "--drain-seconds", "0");
  expect(stdout).toBe("m is gone from box: 1.5 GiB freed\n");
  expect(server.asked[0]?.body).toEqual({ model: "m", neuron: "box", drain_seconds: 0 });
  server.answer("/admin/unload", { model: "m", unloaded: [] });
  expect((await run("unload", "m")).stdout).toBe("m was not loaded anywhere\n");
});

test("unload says how to insist where a model is to stay", async () => {
  const message = "Model 'm' is pinned on box; force unloads it all the same";
  server.fail("/admin/unload", { status: 409, code: "conflict", message });
  const { code, stderr } = await run("unload", "m");
  expect(code).toBe(1);
  expect(stderr).toContain("try: cortex unload m --force");
});

test("an error of the command line names the help of its command", async () => {
  expect((await run("load", "m", "--context", "five")).stderr).toContain("try: cortex load --help");
});

test("drain says where models went, what has no other place, and what runs yet", async () => {
  const answer = {
    ...{ neuron: "box", state: "draining", in_flight: 2 },
    moved: [{ model: "m", neuron: "other" }],
    not_moved: [{ model: "n", why: "no room" }],
  };
  server.answer("/admin/drain", answer);
  const { code, stdout } = await run("drain", "box");
  expect(code).toBe(0);
  expect(stdout).toContain("m is on other\nn has no other place: no room\nbox drains: 2 in flight");
  expect(server.asked[0]?.body).toEqual({ neuron: "box" });
  server.answer("/admin/drain", { ...answer, state: "drained", in_flight: 0 });
  expect((await run("drain", "box", "--wait")).stdout).toContain("box is drained");
  expect(server.asked[1]?.body).toEqual({ neuron: "box", wait: true });
});

test("drain --dry-run says what would go where, and what has no other place", async () => {
  server.answer("/admin/drain", {
    ...{ neuron: "box", state: "none", in_flight: 2, moved: [], not_moved: [] },
    plan: [
      { model: "m", neuron: "other", loads: true },
      { model: "n", neuron: "third", loads: false },
      { model: "o", why: "No other neuron could load 'o'" },
    ],
  });
  const { code, stdout } = await run("drain", "box", "--dry-run");
  expect(code).toBe(0);
  expect(server.asked.map(({ body }) => body)).toEqual([{ neuron: "box", dry_run: true }]);
  expect(stdout).toBe(
    "Would drain box (2 in flight)\n" +
      "Would move m from box to other, and load it there first\n" +
      "Would move n from box to third, which has it ready\n" +
      "o has no other place: No other neuron could load 'o'\n",
  );
});

test("drain --dry-run says what has happened where the gateway does not know dry runs", async () => {
  const answer = { neuron: "box", state: "draining", in_flight: 1, moved: [], not_moved: [] };
  server.answer("/admin/drain", answer);
  const { code, stdout, stderr } = await run("drain", "box", "--dry-run");
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("is too old for --dry-run");
  expect(stderr).toContain("it has begun to drain box");
  expect(stderr).toContain("cortex undrain box");
});

test("undrain says that the neuron is back", async () => {
  const answer = { neuron: "box", state: "none", in_flight: 0, moved: [], not_moved: [] };
  server.answer("/admin/undrain", answer);
  expect((await run("undrain", "box")).stdout).toBe("box takes requests again\n");
});

test("status shows that what a neuron said is stale", async () => {
  const [neuron] = sampleStatus().neurons;
  if (neuron === undefined) throw new Error("No neuron in the sample");
  server.answer("/admin/status", sampleStatus({ neurons: [{ ...neuron, stale: true }] }));
  expect((await run("status")).stdout).toContain("up (stale)");
});

test("plan shows the choice, what it needs and what would go", async () => {
  const needs = [{ index: 0, needed_bytes: 2 * 1024 ** 3, free_bytes: 1024 ** 3 }];
  const candidate = { neuron: "box", state: "absent", in_flight: 0, slots: 4, seconds: 3.25 };
  const choice = { neuron: "box", reason: "cold", seconds: 3.25, cold: true };
  const answer = (extra: object) =>
    server.answer("/admin/plan", {
      model: "m",
      choice,
      candidates: [{ ...candidate, needs, ...extra }],
    });
  answer({ fits: "after", evicts: ["old"] });
  const { code, stdout } = await run("plan", "m", "--prompt-tokens", "200");
  expect(code).toBe(0);
  expect(stdout).toContain("m would go to box and be loaded there (cold), first token after 3.3 s");
  expect(stdout).toMatch(
    /box +absent +3\.3 +- +- +0 +4 +after +2\.0 GiB of 1\.0 GiB free on 0 +old +-\n/,
  );
  expect(server.asked[0]?.body).toEqual({ model: "m", prompt_tokens: 200 });
  const parts = {
    queue_seconds: 0.5,
    load_seconds: 2,
    prefill_seconds: 0.25,
    crowding: 1,
    decode_seconds: 0,
    regret_seconds: 0.5,
  };
  server.answer("/admin/plan", {
    model: "m",
    choice,
    candidates: [{ ...candidate, parts }],
    rejected: [{ neuron: "other", why: "is drained" }],
  });
  const explained = (await run("plan", "m")).stdout;
  expect(explained).toContain("queue 0.5 + load 2.0 + prefill 0.3 x 1.0 + regret 0.5\n");
  expect(explained).toEndWith("\n\nNot asked:\n  other is drained\n");
  answer({ fits: "never", why: "larger than the device" });
  expect((await run("plan", "m")).code).toBe(7);
});

test("CORTEX_HOST names the gateway, with or without a scheme", async () => {
  server.answer("/admin/status", sampleStatus());
  for (const host of [server.url, server.url.replace("http://", "")]) {
    expect((await runMain(["status"], { CORTEX_HOST: host })).code).toBe(0);
  }
});

test("no gateway means exit code 5 and says what to start", async () => {
  await server.stop();
  const { code, stderr } = await run("status");
  expect(code).toBe(5);
  expect(stderr.split("\n")).toEqual([
    `cortex: Cannot reach a gateway at ${server.url}`,
    "  why: connection refused, so nothing listens there",
    "  try: cortex up, or --host URL for a gateway elsewhere",
    "",
  ]);
});

test("a gateway that is silent is given up after --timeout", async () => {
  const { code, stderr } = await run("status", "--timeout", "0.2");
  expect(code).toBe(1);
  expect(stderr).toContain("waited 0.2 s");
});

test("something else that listens there is recognised", async () => {
  server.answer("/admin/status", { hello: "world" });
  const { code, stderr } = await run("status");
  expect(code).toBe(1);
  expect(stderr).toContain("is not a cortex gateway");
});

test("status --watch goes on until it is told to stop", async () => {
  server.answer("/admin/status", sampleStatus());
  const main = `${import.meta.dir}/../../src/main.ts`;
  const child = Bun.spawn([process.execPath, main, "status", "--watch", "--host", server.url], {
    stdout: "pipe",
  });
  let text = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.split("cortex 0.1.0").length === 3) child.kill("SIGINT");
  }
  expect(await child.exited).toBe(0);
});

test("status --watch --json prints lines of its schema, also after an answer that failed", async () => {
  server.answer("/admin/status", sampleStatus());
  const main = `${import.meta.dir}/../../src/main.ts`;
  const child = Bun.spawn(
    [process.execPath, main, "status", "--watch", "--json", "--host", server.url],
    { stdout: "pipe", stderr: "pipe" },
  );
  let [text, asked] = ["", 0];
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const lines = text.split("\n").length - 1;
    if (lines === 1) {
      server.fail("/admin/status", { status: 503, code: "unavailable", message: "Away: for now" });
      asked = server.asked.length;
      while (server.asked.length < asked + 2) await Bun.sleep(5);
      server.answer("/admin/status", sampleStatus());
    }
    if (lines === 3) child.kill("SIGINT");
  }
  expect(await child.exited).toBe(0);
  expectPublished(text);
  expect(text.split("\n").length).toBeGreaterThanOrEqual(4);
  expect(await new Response(child.stderr).text()).toContain("cortex: Away");
});

test("status --watch ends at once where no gateway ever answered", async () => {
  const { code, stdout } = await runMain(["status", "--watch", "--host", "127.0.0.1:9"]);
  expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
});
