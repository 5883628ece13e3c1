import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cdnPath, FakeHub, patternBytes, sha256 } from "../fakes/fake-hub.ts";
import { runMain } from "./run-main.ts";

/** Each test starts up to four processes, on machines that may be busy. */
setDefaultTimeout(60_000);

const MAIN = join(import.meta.dir, "../../src/main.ts");
const MIB = 1024 * 1024;
const MODEL = patternBytes(3 * MIB, 5);

let hub: FakeHub;
let folder: string;
let models: string;

beforeEach(async () => {
  hub = new FakeHub();
  folder = await mkdtemp(join(tmpdir(), "cortex-pull-"));
  models = join(folder, "models");
});

afterEach(async () => {
  await hub.stop();
  await rm(folder, { recursive: true, force: true });
});

const args = (source: string) => ["pull", source, `--models-dir=${models}`];

/** Starts a pull, as a user would, and lets it come to the CDN's hold. */
async function startHeld(source: string) {
  hub.cdn.fail(cdnPath(MODEL), { kind: "hold", afterBytes: 2 * MIB });
  const child = Bun.spawn([process.execPath, MAIN, ...args(source)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "", ...hub.environment(folder) },
  });
  // The line of 60 % is written when that much is on the disk.
  const reader = child.stderr.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!/\b6\d %/.test(text)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value);
  }
  const rest = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value);
    }
  })();
  return { child, stderr: rest };
}

describe("cortex pull", () => {
  test("prints where the files are, and plain lines of progress into a pipe", async () => {
    const commit = hub.commit("org/Tiny-GGUF", { "Tiny-Q8_0.gguf": MODEL });
    const { code, stdout, stderr } = await runMain(
      args("hf:org/Tiny-GGUF:Q8_0"),
      hub.environment(folder),
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const path = join(models, "models--org--Tiny-GGUF/snapshots", commit, "Tiny-Q8_0.gguf");
    expect(stdout).toMatch(/^hf:org\/Tiny-GGUF:Q8_0: 3\.0 MiB in \d+\.\d s\n {2}/);
    expect(stdout).toContain(path);
    expect((await readFile(path)).equals(MODEL)).toBe(true);
    expect(stderr).toContain(`org/Tiny-GGUF@${commit.slice(0, 7)}: 1 file, 3.0 MiB`);
    expect(stderr).toContain("100 %  3.0 MiB of 3.0 MiB");
    expect(stderr).not.toContain("\u001B");
  });

  test("with --json prints one object, and a second time says that nothing was fetched", async () => {
    hub.commit("org/t", { "t.gguf": MODEL });
    const environment = hub.environment(folder);
    await runMain(args("hf:org/t"), environment);
    const { stdout } = await runMain([...args("hf:org/t"), "--json"], environment);
    expect(JSON.parse(stdout)).toMatchObject({
      source: "hf:org/t",
      bytes: MODEL.length,
      fetched_bytes: 0,
      files: [{ name: "t.gguf" }],
    });
    expect(hub.cdn.requests).toHaveLength(1);
  });

  test("writes into the hub's own cache where the configuration says so", async () => {
    const commit = hub.commit("org/t", { "t.gguf": MODEL });
    const file = join(folder, "neuron.toml");
    // A daemon's token is nothing that a download needs.
    await Bun.write(
      file,
      `[neuron]\ntoken_env = "NOT_SET_HERE"\n[supply]\nhub_cache = "write"\ndisk_bytes_max = ${4 * MIB}\n`,
    );
    const environment = hub.environment(folder);
    const { code, stderr } = await runMain(["pull", "hf:org/t", `--config=${file}`], environment);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const path = join(folder, "hub/models--org--t/snapshots", commit, "t.gguf");
    expect((await readFile(path)).equals(MODEL)).toBe(true);
    hub.commit("org/u", { "u.gguf": patternBytes(2 * MIB, 6) });
    const second = await runMain(["pull", "hf:org/u", `--config=${file}`], environment);
    expect(second.code).toBe(7);
    expect(second.stderr).toContain("supply.disk_bytes_max = 4.0 MiB");
  });

  test("ended by Ctrl-C keeps what has arrived, and goes on from there", async () => {
    hub.commit("org/t", { "t.gguf": MODEL });
    const { child, stderr } = await startHeld("hf:org/t");
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await stderr).toMatch(
      /cortex:.* Interrupted\n {2}why: \d\.\d MiB of 3\.0 MiB are kept\n/,
    );
    const blobs = join(models, "models--org--t/blobs");
    expect(await readdir(blobs)).toContain(`${sha256(MODEL)}.part`);
    const again = await runMain(args("hf:org/t"), hub.environment(folder));
    expect(again.code).toBe(0);
    expect(again.stderr).toContain("t.gguf goes on after");
    const start = Number(/^bytes=(\d+)-$/.exec(hub.cdn.requests.at(-1)?.range ?? "")?.[1]);
    expect(start).toBeGreaterThan(MIB);
    expect(await readdir(blobs)).toEqual([sha256(MODEL)]);
  });

  test("killed in the middle leaves no lock, and the next one goes on", async () => {
    hub.commit("org/t", { "t.gguf": MODEL });
    const { child } = await startHeld("hf:org/t");
    child.kill("SIGKILL");
    await child.exited;
    const again = await runMain(args("hf:org/t"), hub.environment(folder));
    expect({ code: again.code, stderr: again.stderr }).toMatchObject({ code: 0 });
    expect(hub.cdn.requests.at(-1)?.range).toStartWith("bytes=");
  });

  test("beside another process that fetches the same file waits for it", async () => {
    hub.commit("org/t", { "t.gguf": MODEL });
    const { child } = await startHeld("hf:org/t");
    const second = runMain(args("hf:org/t"), hub.environment(folder));
    // It asks for the list of files, and then waits for the lock.
    while (hub.requests.filter(({ path }) => path.includes("/tree/")).length < 2) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    hub.cdn.release();
    expect(await child.exited).toBe(0);
    expect((await second).code).toBe(0);
    expect(hub.cdn.requests).toHaveLength(1);
  });

  test("says in three lines what is wrong with a source, a gate and a choice", async () => {
    const environment = hub.environment(folder);
    const bad = await runMain(args("https://huggingface.co/o/n"), environment);
    expect(bad.stderr).toContain("try: cortex pull hf:owner/repository:Q4_K_M");
    hub.commit("org/gated", { "t.gguf": MODEL }, { token: "hf_right" });
    const gated = await runMain(args("hf:org/gated"), environment);
    expect(gated.code).toBe(1);
    expect(gated.stderr).toContain(`try: accept the conditions at ${hub.url}/org/gated, then set`);
    await Bun.write(join(folder, "token"), "hf_right\n");
    expect((await runMain(args("hf:org/gated"), environment)).code).toBe(0);
    hub.commit("org/many", { "m-Q4_K_M.gguf": MODEL, "m-Q8_0.gguf": patternBytes(9) });
    const many = await runMain(args("hf:org/many"), environment);
    expect(many.stderr).toContain("org/many has 2 models: name one");
    expect(many.stderr).toContain("try: cortex pull hf:org/many:Q4_K_M");
  });
});
