import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { link, mkdir, mkdtemp, rename, rm, symlink, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { Catalogue } from "../../../src/neuron/models/catalogue.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { sha256 } from "../../fakes/fake-hub.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";
import { ggufFile } from "../fixture.ts";

let folder: string;
let log: RecordingLog;
let clock: FakeClock;
let catalogue: Catalogue;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-folders-"));
  log = new RecordingLog();
  clock = new FakeClock();
  catalogue = new Catalogue({
    folders: [
      { name: "models_dir", path: join(folder, "own"), isOptional: true },
      { name: "hub_cache_dir", path: join(folder, "hub"), isOptional: true },
    ],
    ...{ log, clock },
  });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const OLD = "a".repeat(40);
const NEW = "b".repeat(40);

/** A model whose bytes differ with the seed. */
async function bytesOf(seed: string): Promise<Uint8Array> {
  return await ggufFile({ "tokenizer.chat_template": { string: seed } }).bytes();
}

/** A file of a repository in the cache's layout. */
async function cached(
  name: string,
  options: { readonly bytes: Uint8Array; readonly commit?: string; readonly root?: string },
): Promise<string> {
  const [owner, repository, ...path] = name.split("/");
  const root = join(folder, options.root ?? "hub", `models--${owner}--${repository}`);
  const blob = join(root, "blobs", sha256(options.bytes));
  const place = join(root, "snapshots", options.commit ?? NEW, path.join("/"));
  await Bun.write(blob, options.bytes);
  await mkdir(dirname(place), { recursive: true });
  await symlink(relative(dirname(place), blob), place);
  return place;
}

async function own(path: string, bytes: Uint8Array): Promise<string> {
  const place = join(folder, "own", path);
  await Bun.write(place, bytes);
  return place;
}

const ids = () => catalogue.entries().map((entry) => entry.id);
const warnings = () => log.lines.map((line) => line.text).join("\n");

describe("a cache of the hub", () => {
  test("gives each file once, from the commit that main means", async () => {
    await cached("o/n/x-q8_0.gguf", { bytes: await bytesOf("old"), commit: OLD });
    const place = await cached("o/n/x-q8_0.gguf", { bytes: await bytesOf("new"), commit: NEW });
    await cached("o/n/x-q4_0.gguf", { bytes: await bytesOf("small"), commit: OLD });
    await Bun.write(join(folder, "hub/models--o--n/refs/main"), `${NEW}\n`);
    const future = Date.now() / 1000 + 60;
    await utimes(join(folder, "hub/models--o--n/snapshots", OLD), future, future);
    await catalogue.scan();
    expect(ids().toSorted()).toEqual(["x-q4_0", "x-q8_0"]);
    expect(catalogue.find("x-q8_0")?.path).toBe(place);
    expect(catalogue.find("o/n:Q8_0")?.id).toBe("x-q8_0");
    expect(warnings()).not.toContain("is not served");
  });

  test("is read deeper than other folders, with all parts and the projector above", async () => {
    const part = (index: number) => `o/n/UD/Q8/big-q8_0-0000${index}-of-00002.gguf`;
    await cached(part(1), { bytes: await bytesOf("1") });
    await cached(part(2), { bytes: await bytesOf("2") });
    await cached("o/n/mmproj-BF16.gguf", { bytes: await bytesOf("eyes") });
    const usual = await cached("o/n/mmproj-F16.gguf", { bytes: await bytesOf("f16") });
    await catalogue.scan();
    expect(ids()).toEqual(["big-q8_0"]);
    expect(catalogue.find("big")).toMatchObject({ mmproj: usual, problem: undefined });
    expect(catalogue.find("big")?.digest).toStartWith("parts-sha256:");
  });

  test("that does not exist is no cause for complaint", async () => {
    await own("a.gguf", await bytesOf("a"));
    await catalogue.scan();
    expect(ids()).toEqual(["a"]);
    expect(log.lines).toEqual([]);
  });
});

describe("the same content under two names", () => {
  test("is one model with both names when it is one file on the disk", async () => {
    const first = await own("a.gguf", await bytesOf("a"));
    await link(first, join(folder, "own/b-other.gguf"));
    await catalogue.scan();
    expect(ids()).toEqual(["a"]);
    expect(catalogue.find("b-other")?.id).toBe("a");
    expect(warnings()).toContain("is the same file as");
  });

  test("is one model when two caches say so", async () => {
    const bytes = await bytesOf("same");
    await cached("o/n/x-q8_0.gguf", { bytes, root: "own" });
    await cached("other/copy/y-q8_0.gguf", { bytes });
    await catalogue.scan();
    expect(ids()).toEqual(["x-q8_0"]);
    expect(catalogue.find("other/copy:Q8_0")?.id).toBe("x-q8_0");
  });

  test("in two files is two models, and the second says so", async () => {
    await own("a.gguf", await bytesOf("same"));
    await own("b.gguf", await bytesOf("same"));
    await own("c.gguf", await bytesOf("other"));
    await catalogue.scan();
    expect(ids()).toEqual(["a", "b", "c"]);
    expect(catalogue.find("b")?.sameAs).toBe("a");
    expect(catalogue.find("c")?.sameAs).toBeUndefined();
  });

  test("does not look like a change at each scan", async () => {
    const first = await own("a.gguf", await bytesOf("a"));
    await link(first, join(folder, "own/b.gguf"));
    await own("c.gguf", await bytesOf("a"));
    await catalogue.scan();
    let changes = 0;
    catalogue.onChange(() => {
      changes += 1;
    });
    await catalogue.scan();
    expect(changes).toBe(0);
  });
});

test("the same name in two repositories gets the owner in front", async () => {
  await cached("aaa/n/x-q8_0.gguf", { bytes: await bytesOf("1") });
  await cached("zZz/n/x-q8_0.gguf", { bytes: await bytesOf("2") });
  await catalogue.scan();
  expect(ids().toSorted()).toEqual(["x-q8_0", "zzz-x-q8_0"]);
  expect(catalogue.find("zZz/n:Q8_0")?.id).toBe("zzz-x-q8_0");
  expect(catalogue.find("aaa/n:Q8_0")?.id).toBe("x-q8_0");
});

test("files that come and go are noticed without a restart", async () => {
  await own("a.gguf", await bytesOf("a"));
  await catalogue.scan();
  const seen = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<readonly string[]>();
  catalogue.onChange(({ added, removed }) => {
    if (added.some(({ id }) => id === "late")) seen.resolve();
    if (removed.length > 0) gone.resolve(removed);
  });
  const watching = catalogue.watch();
  // As an editor or a download does it: under another name first.
  const place = await own("late.gguf.new", await bytesOf("late"));
  await rename(place, join(folder, "own/late.gguf"));
  await clock.advance(3_000);
  await seen.promise;
  await rm(join(folder, "own/a.gguf"));
  await clock.advance(3_000);
  expect(await gone.promise).toEqual(["a"]);
  catalogue.stop();
  await watching;
});
