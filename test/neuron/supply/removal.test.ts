import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { type Removal, RemovalSchema } from "../../../src/protocol/removals.ts";
import { FakeHub } from "../../fakes/fake-hub.ts";
import { errorOf, ggufFile, NeuronFixture } from "../fixture.ts";

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

async function start(supply: object = { pull: true, remove: true }): Promise<void> {
  fixture = await NeuronFixture.start({ supply: { ...supply }, env: hub.environment(home) });
}

async function model(name: string): Promise<Uint8Array> {
  return await ggufFile({ "general.name": { string: name } }).bytes();
}

async function pull(source: string): Promise<void> {
  const response = await fixture.post("/models/pull", { source });
  const { id } = ((await response.json()) as { pull: { id: string } }).pull;
  await fixture.until(async () => {
    const { pulls } = (await (await fixture.get("/models/pulls")).json()) as {
      pulls: { id: string; state: string }[];
    };
    return pulls.find((each) => each.id === id)?.state === "done";
  });
}

async function ask(id: string, query = ""): Promise<Response> {
  const path = `${fixture.neuron.url}/models/${encodeURIComponent(id)}${query}`;
  return await fetch(path, { method: "DELETE" });
}

async function remove(id: string, query = ""): Promise<Removal> {
  const response = await ask(id, query);
  const removal: unknown = await response.json();
  expect({ status: response.status, removal }).toMatchObject({ status: 200 });
  expect(Value.Check(RemovalSchema, removal)).toBe(true);
  return removal as Removal;
}

const blobs = (repository: string) =>
  readdir(join(fixture.folder, `models--${repository.replace("/", "--")}`, "blobs"));

describe("DELETE /models/{id}", () => {
  test("removes what a pull brought and forgets the model at once", async () => {
    await start();
    const bytes = await model("t");
    hub.commit("org/T-GGUF", { "T-Q8_0.gguf": bytes });
    await pull("hf:org/T-GGUF");
    const planned = await remove("t-q8_0", "?dry_run=true");
    expect(await blobs("org/T-GGUF")).toHaveLength(1);
    const removal = await remove("org/T-GGUF:Q8_0");
    expect(removal).toEqual(planned);
    expect(removal).toEqual({
      ...{ model: "t-q8_0", source: "hf:org/T-GGUF", unloaded: false },
      files: [{ path: "org/T-GGUF/T-Q8_0.gguf", bytes: bytes.length }],
      ...{ kept: [], freed_bytes: bytes.length },
    });
    expect(await blobs("org/T-GGUF")).toEqual([]);
    expect((await fixture.get("/models/t-q8_0")).status).toBe(404);
  });

  test("keeps a projector that another pulled model has, until that goes, too", async () => {
    await start();
    const projector = await ggufFile({ "clip.has_vision_encoder": { bool: true } }).bytes();
    hub.commit("org/V", {
      "v-Q4_0.gguf": await model("four"),
      "v-Q8_0.gguf": await model("eight"),
      "mmproj-v-f16.gguf": projector,
    });
    await pull("hf:org/V:Q4_0");
    await pull("hf:org/V:Q8_0");
    const first = await remove("v-q4_0");
    expect(first.kept).toEqual([
      { path: "org/V/mmproj-v-f16.gguf", why: "hf:org/V:Q8_0 has it, too" },
    ]);
    expect((await fixture.model("v-q8_0")).capabilities).toContain("vision");
    const second = await remove("v-q8_0");
    expect(second.files.map(({ path }) => path)).toEqual([
      "org/V/v-Q8_0.gguf",
      "org/V/mmproj-v-f16.gguf",
    ]);
    expect(await blobs("org/V")).toEqual([]);
  });

  test("refuses what is loaded or pinned, and unloads it first when it must", async () => {
    await start();
    hub.commit("org/t", { "t.gguf": await model("t") });
    await pull("hf:org/t");
    await fixture.load("t");
    const loaded = await errorOf(await ask("t"));
    expect(loaded).toMatchObject({
      status: 409,
      message: "Model 't' is ready; force unloads it first",
    });
    await fixture.load("t", { pinned: true });
    expect((await errorOf(await ask("t"))).message).toContain("is pinned");
    expect((await remove("t", "?dry_run=true&force=true")).unloaded).toBe(true);
    expect((await fixture.model("t")).state).toBe("ready");
    expect((await remove("t", "?force=true")).unloaded).toBe(true);
    expect((await fixture.get("/models/t")).status).toBe(404);
    expect(await blobs("org/t")).toEqual([]);
  });

  test("never removes files that cortex did not pull, nor anything where it is off", async () => {
    await start();
    expect(await errorOf(await ask("alpha", "?force=true"))).toMatchObject({
      ...{ status: 409, message: "Model 'alpha' was not pulled by cortex" },
    });
    expect(await Bun.file(join(fixture.folder, "alpha.gguf")).exists()).toBe(true);
    expect((await errorOf(await ask("nothing"))).status).toBe(404);
    const mistyped = await errorOf(await ask("alpha", "?dry_run=yes"));
    expect(mistyped).toMatchObject({ status: 400, param: "dry_run" });
    await fixture.stop();
    await start({});
    const off = await errorOf(await ask("alpha"));
    expect(off).toMatchObject({ status: 403, code: "forbidden" });
    expect(off.message).toContain("supply.remove is false");
  });
});
