import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { SseReader } from "../../../src/base/sse.ts";
import { type NeuronEvent, NeuronEventSchema } from "../../../src/protocol/events.ts";
import { type Pull, PullSchema } from "../../../src/protocol/pulls.ts";
import { cdnPath, FakeHub, patternBytes, sha256 } from "../../fakes/fake-hub.ts";
import { errorOf, type FixtureOptions, ggufFile, NeuronFixture } from "../fixture.ts";

let hub: FakeHub;
let home: string;
let fixture: NeuronFixture;

beforeEach(async () => {
  hub = new FakeHub();
  home = await mkdtemp(join(tmpdir(), "cortex-home-"));
});

afterEach(async () => {
  await fixture.stop();
  await hub.stop();
  await rm(home, { recursive: true, force: true });
});

async function start(supply: object = { pull: true }, options: FixtureOptions = {}): Promise<void> {
  const env = hub.environment(home);
  fixture = await NeuronFixture.start({ supply: { ...supply }, env, ...options });
}

/** A small model whose bytes differ with the name. */
async function model(name: string): Promise<Uint8Array> {
  return await ggufFile({ "general.name": { string: name } }).bytes();
}

async function pull(source: string, options: object = {}): Promise<Pull> {
  const response = await fixture.post("/models/pull", { source, ...options });
  expect(response.status).toBe(202);
  return ((await response.json()) as { pull: Pull }).pull;
}

async function pulls(): Promise<readonly Pull[]> {
  return ((await (await fixture.get("/models/pulls")).json()) as { pulls: Pull[] }).pulls;
}

/** The pull once it is in a state. */
async function reach(id: string, state: Pull["state"]): Promise<Pull> {
  let found: Pull | undefined;
  await fixture.until(async () => {
    found = (await pulls()).find((each) => each.id === id);
    return found?.state === state;
  });
  if (found === undefined) throw new Error("unreachable");
  return found;
}

async function remove(id: string): Promise<Response> {
  return await fetch(`${fixture.neuron.url}/models/pulls/${id}`, { method: "DELETE" });
}

describe("POST /models/pull", () => {
  test("brings a model that can be loaded at once, and tells of it in events", async () => {
    await start();
    const bytes = await model("new");
    const commit = hub.commit("org/New-GGUF", { "New-Q8_0.gguf": bytes });
    const events = await fetch(`${fixture.neuron.url}/events`);
    const { id, ...first } = await pull("hf:org/New-GGUF");
    expect(first).toMatchObject({ source: "hf:org/New-GGUF", commit, bytes_total: bytes.length });
    const done = await reach(id, "done");
    expect(done).toMatchObject({ models: ["new-q8_0"], bytes_done: bytes.length });
    expect(Value.Check(PullSchema, done)).toBe(true);
    expect((await fixture.load("org/New-GGUF:Q8_0")).status).toBe(200);
    expect((await fixture.model("new-q8_0")).digest).toBe(`sha256:${sha256(bytes)}`);
    const states = await readPullStates(events, "done");
    expect(states[0]).toBe("queued");
    expect(states.at(-1)).toBe("done");
    const metrics = await (await fixture.get("/metrics")).text();
    expect(metrics).toContain('cortex_neuron_pulls_total{outcome="done"} 1');
    expect(metrics).toContain(`cortex_neuron_pulled_bytes_total ${bytes.length}`);
  });

  test("is off unless the configuration says otherwise", async () => {
    await start({});
    const error = await errorOf(await fixture.post("/models/pull", { source: "hf:o/n" }));
    expect(error).toMatchObject({ status: 403, code: "forbidden" });
    expect(error.message).toContain("supply.pull is false");
    expect(hub.requests).toEqual([]);
  });

  test("keeps to the owners that are named", async () => {
    await start({ pull: true, owners: ["Org"] });
    hub.commit("org/t", { "t.gguf": await model("t") });
    expect((await pull("hf:org/t")).state).toBeOneOf(["queued", "running", "done"]);
    const error = await errorOf(await fixture.post("/models/pull", { source: "hf:evil/t" }));
    expect(error.status).toBe(403);
    expect(error.message).toBe("Owner 'evil' is not in supply.owners: Org");
  });

  test.each(["https://evil/x.gguf", "/etc/passwd", "hf:o/n/../../x.gguf", "file:x"])(
    "takes no %s",
    async (source) => {
      await start();
      const error = await errorOf(await fixture.post("/models/pull", { source }));
      expect(error).toMatchObject({ status: 400, param: "source" });
      expect(hub.requests).toEqual([]);
    },
  );

  test("tells at once what the hub says against it", async () => {
    await start();
    hub.commit("org/many", { "m-Q4_0.gguf": patternBytes(5), "m-Q8_0.gguf": patternBytes(6) });
    hub.commit("org/gated", { "t.gguf": patternBytes(7) }, { token: "hf_x" });
    const many = await errorOf(await fixture.post("/models/pull", { source: "hf:org/many" }));
    expect(many).toMatchObject({ status: 400, param: "source" });
    expect(many.figures?.["choices"]).toHaveLength(2);
    const gated = await errorOf(await fixture.post("/models/pull", { source: "hf:org/gated" }));
    expect(gated).toMatchObject({ status: 403, code: "forbidden" });
    const none = await errorOf(
      await fixture.post("/models/pull", { source: "hf:org/many:Q5_K_M" }),
    );
    expect(none.status).toBe(404);
    expect((await pulls()).map(({ state }) => state)).toEqual(["failed", "failed", "failed"]);
  });

  test("of the same source joins the one that runs", async () => {
    await start();
    const bytes = await model("t");
    hub.commit("org/t", { "t.gguf": bytes });
    hub.cdn.fail(cdnPath(bytes), { kind: "hold", afterBytes: 10 });
    const first = await pull("hf:org/t");
    await hub.cdn.waitForHold();
    expect((await pull("hf:org/t")).id).toBe(first.id);
    hub.cdn.release();
    await reach(first.id, "done");
    expect(hub.cdn.requests).toHaveLength(1);
  });

  test("runs two at once, and the third when one has ended", async () => {
    await start();
    const ids: string[] = [];
    for (const name of ["a", "b", "c"]) {
      const bytes = await model(name);
      hub.commit(`org/${name}`, { [`${name}.gguf`]: bytes });
      hub.cdn.fail(cdnPath(bytes), { kind: "hold", afterBytes: 10 });
      ids.push((await pull(`hf:org/${name}`)).id);
    }
    await fixture.until(() => hub.cdn.requests.length === 2);
    expect((await pulls()).map(({ state }) => state)).toEqual(["running", "running", "queued"]);
    await remove(ids[0] ?? "");
    await fixture.until(() => hub.cdn.requests.length === 3);
    const [first, second, third] = await pulls();
    expect([first?.state, second?.state, third?.state]).toEqual([
      "running",
      "running",
      "cancelled",
    ]);
  });
});

describe("DELETE /models/pulls/{id}", () => {
  test("cancels, keeps what has arrived, and the next pull goes on", async () => {
    await start();
    const bytes = Buffer.concat([await model("t"), patternBytes(600_000)]);
    hub.commit("org/t", { "t.gguf": bytes });
    hub.cdn.fail(cdnPath(bytes), { kind: "hold", afterBytes: 500_000 });
    const { id } = await pull("hf:org/t");
    await hub.cdn.waitForHold();
    const blobs = join(fixture.folder, "models--org--t/blobs");
    await fixture.until(
      async () => (await Bun.file(join(blobs, `${sha256(bytes)}.part`)).stat()).size >= 500_000,
    );
    expect(((await (await remove(id)).json()) as { pull: Pull }).pull.state).toBe("cancelled");
    expect(await readdir(blobs)).toContain(`${sha256(bytes)}.part`);
    await reach((await pull("hf:org/t")).id, "done");
    expect(hub.cdn.requests.at(-1)?.range).toBe("bytes=500000-");
  });

  test("of a pull that has ended is a conflict, and of none 404", async () => {
    await start();
    hub.commit("org/t", { "t.gguf": await model("t") });
    const { id } = await pull("hf:org/t");
    await reach(id, "done");
    expect((await errorOf(await remove(id))).status).toBe(409);
    expect((await errorOf(await remove("pull_x"))).status).toBe(404);
  });
});

test("a stop ends pulls that run", async () => {
  await start();
  const bytes = await model("t");
  hub.commit("org/t", { "t.gguf": bytes });
  hub.cdn.fail(cdnPath(bytes), { kind: "hold", afterBytes: 10 });
  await pull("hf:org/t");
  await hub.cdn.waitForHold();
  await fixture.stop();
  expect(fixture.log.has("Model not pulled", { cause: "The neuron stops" })).toBe(true);
});

test("a loaded model is never removed to make room, an idle one is", async () => {
  const [first, second] = [await model("first"), await model("second")];
  await start({ pull: true, disk_bytes_max: first.length + second.length - 1 });
  hub.commit("org/first", { "first.gguf": first });
  hub.commit("org/second", { "second.gguf": second });
  await reach((await pull("hf:org/first")).id, "done");
  const age = async () => {
    const folder = join(fixture.folder, "models--org--first/.cortex");
    for (const name of await readdir(folder)) await utimes(join(folder, name), 1, 1);
  };
  await fixture.load("first");
  // The load notes the use; here the note is made old, so that only the neuron itself knows.
  await fixture.until(async () => (await fixture.model("first")).state === "ready");
  await age();
  await fixture.clock.advance(60_000);
  const refused = await reach((await pull("hf:org/second")).id, "failed");
  expect(refused.error).toMatchObject({ code: "does_not_fit" });
  await fixture.post("/models/unload", { model: "first" });
  await age();
  await reach((await pull("hf:org/second")).id, "done");
  await fixture.clock.advance(3_000);
  expect((await fixture.get("/models/first")).status).toBe(404);
  expect((await fixture.get("/models/second")).status).toBe(200);
});

test("the hub's cache is a second folder of models, and its own names work", async () => {
  const bytes = await model("cached");
  const root = join(home, "hub/models--org--Cached-GGUF");
  await Bun.write(join(root, "snapshots", "a".repeat(40), "deep/er/Cached-Q4_0.gguf"), bytes);
  await start({ hub_cache: "read" });
  expect((await fixture.model("org%2FCached-GGUF:Q4_0")).id).toBe("cached-q4_0");
  expect((await fixture.model("alpha")).id).toBe("alpha");
});

async function readPullStates(events: Response, last: Pull["state"]): Promise<readonly string[]> {
  const reader = new SseReader();
  const decoder = new TextDecoder();
  const states: string[] = [];
  const body = events.body as ReadableStream<Uint8Array>;
  for await (const piece of body) {
    for (const event of reader.push(decoder.decode(piece, { stream: true }))) {
      const data = JSON.parse(event.data) as NeuronEvent;
      expect(Value.Check(NeuronEventSchema, data)).toBe(true);
      if (data.type === "pull") states.push(data.pull.state);
    }
    if (states.at(-1) === last) break;
  }
  return states;
}
