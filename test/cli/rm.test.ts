import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readdir, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { commandOutputSchema } from "../../src/protocol/command-output.ts";
import { FakeHub } from "../fakes/fake-hub.ts";
import { FakeNeuron } from "../fakes/fake-neuron.ts";
import { ggufFile } from "../neuron/fixture.ts";
import { FakeAdminServer } from "./fake-admin-server.ts";
import { runMain } from "./run-main.ts";

/** Each test starts several processes, on machines that may be busy. */
setDefaultTimeout(60_000);

let hub: FakeHub;
let folder: string;
let models: string;
let bytes: number;

beforeEach(async () => {
  hub = new FakeHub();
  folder = await mkdtemp(join(tmpdir(), "cortex-rm-"));
  models = join(folder, "models");
  const file = await ggufFile({ "general.name": { string: "Tiny" } }).bytes();
  bytes = file.length;
  hub.commit("org/Tiny-GGUF", { "Tiny-Q8_0.gguf": file });
});

afterEach(async () => {
  await hub.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Nothing listens there unless a test says so. */
async function run(args: readonly string[], listen = "127.0.0.1:1") {
  const env = { ...hub.environment(folder), CORTEX_NEURON__LISTEN: listen };
  return await runMain([...args, `--models-dir=${models}`], env);
}

const pull = () => run(["pull", "hf:org/Tiny-GGUF"]);
const blobs = () => readdir(join(models, "models--org--Tiny-GGUF/blobs"));

/** As if the pull had been yesterday. */
async function age(): Promise<void> {
  const records = join(models, "models--org--Tiny-GGUF/.cortex");
  for (const name of await readdir(records)) await utimes(join(records, name), 1, 1);
}

describe("cortex rm", () => {
  test("removes what was pulled, says so in its schema, and then does not know it", async () => {
    await pull();
    await age();
    const planned = await run(["rm", "tiny-q8_0", "--dry-run"]);
    expect(planned.stdout).toMatch(/^Would remove org\/Tiny-GGUF\/Tiny-Q8_0\.gguf \(\d+ B\)\n$/);
    expect(await blobs()).toHaveLength(1);
    const { code, stdout, stderr } = await run(["rm", "hf:org/Tiny-GGUF", "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const line: unknown = JSON.parse(stdout);
    expect(Value.Check(commandOutputSchema("rm"), line)).toBe(true);
    expect(line).toMatchObject({
      ...{ command: "rm", model: "tiny-q8_0", source: "hf:org/Tiny-GGUF", freed_bytes: bytes },
    });
    expect(await blobs()).toEqual([]);
    const again = await run(["rm", "tiny-q8_0"]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("Model 'tiny-q8_0' is not in");
  });

  test("refuses what may be loaded where no neuron answers, unless it is forced", async () => {
    await pull();
    const refused = await run(["rm", "tiny-q8_0"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("tiny-q8_0 may be loaded");
    expect(refused.stderr).toContain("nothing listens there");
    const forced = await run(["rm", "tiny-q8_0", "--force"]);
    expect({ code: forced.code, stderr: forced.stderr }).toEqual({ code: 0, stderr: "" });
    expect(forced.stdout).toContain("tiny-q8_0 is gone");
  });

  test("asks this machine's neuron, refuses what is loaded there, and unloads when forced", async () => {
    await pull();
    const neuron = new FakeNeuron().addModel("tiny-q8_0", { state: "ready" }).start();
    const listen = neuron.url.slice("http://".length);
    // Another model of the same name is none of this one's business.
    neuron.change("tiny-q8_0", { digest: "other" });
    const [blob] = await blobs();
    expect((await run(["rm", "tiny-q8_0", "--dry-run"], listen)).code).toBe(0);
    neuron.change("tiny-q8_0", { digest: `sha256:${blob}`, pinned: true });
    const refused = await run(["rm", "tiny-q8_0"], listen);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("tiny-q8_0 is pinned in the neuron at");
    const planned = await run(["rm", "tiny-q8_0", "--force", "--dry-run"], listen);
    expect(planned.stdout).toStartWith("Would unload tiny-q8_0\nWould remove org/Tiny-GGUF/");
    expect(neuron.model("tiny-q8_0").state).toBe("ready");
    expect((await run(["rm", "tiny-q8_0", "--force"], listen)).code).toBe(0);
    expect(neuron.model("tiny-q8_0").state).toBe("absent");
    expect(await blobs()).toEqual([]);
    await neuron.kill();
  });

  test("leaves files alone that cortex did not pull, unless it is forced", async () => {
    const path = join(models, "own.gguf");
    await Bun.write(path, ggufFile());
    const refused = await run(["rm", "own"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("own was not pulled by cortex");
    expect(await Bun.file(path).exists()).toBe(true);
    expect((await run(["rm", "own", "--force", "-q"])).stdout).toBe("");
    expect(await Bun.file(path).exists()).toBe(false);
  });

  test("frees what an interrupted pull has left", async () => {
    await pull();
    await age();
    const [blob = ""] = await blobs();
    const store = join(models, "models--org--Tiny-GGUF");
    await rm(join(store, "snapshots"), { recursive: true });
    await Bun.write(join(store, "blobs", `${blob}.part`), new Uint8Array(100));
    await rm(join(store, "blobs", blob));
    const { stdout } = await run(["rm", "hf:org/Tiny-GGUF", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ model: "hf:org/Tiny-GGUF", freed_bytes: 100 });
    expect(await blobs()).toEqual([]);
  });
});

test("rm of a neuron's model goes through the gateway", async () => {
  const server = new FakeAdminServer();
  const removal = {
    ...{ model: "m", neuron: "box", source: "hf:o/m", unloaded: true, freed_bytes: 5 },
    files: [{ path: "o/m/m.gguf", bytes: 5 }],
    kept: [{ path: "o/m/mmproj.gguf", why: "hf:o/m:Q8_0 has it, too" }],
  };
  server.answer("/admin/remove", removal);
  const asked = () => server.asked.at(-1)?.body;
  const there = ["--neuron", "box", "--force", "--host", server.url];
  const { code, stdout } = await runMain(["rm", "hf:o/m", ...there, "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ schema_version: 1, command: "rm", ...removal });
  expect(asked()).toEqual({ model: "o/m", neuron: "box", force: true });
  const planned = await runMain(["rm", "m", ...there, "--dry-run"]);
  expect(planned.stdout.split("\n")).toEqual([
    "Would unload m on box",
    "Would remove o/m/m.gguf on box (5 B)",
    "Kept: o/m/mmproj.gguf, for hf:o/m:Q8_0 has it, too",
    "",
  ]);
  expect(asked()).toMatchObject({ dry_run: true });
  const message = "Removal by request is off here: supply.remove is false";
  server.fail("/admin/remove", { status: 403, code: "forbidden", message });
  const off = await runMain(["rm", "m", "--host", server.url]);
  expect(off.code).toBe(1);
  expect(off.stderr).toContain("[supply] remove = true in its neuron.toml");
  await server.stop();
});
