import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { lstat, mkdir, readdir, readFile, readlink, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cdnPath, patternBytes, sha256 } from "../fakes/fake-hub.ts";
import { HubFixture } from "./hub-fixture.ts";

let fixture: HubFixture;

beforeEach(async () => {
  fixture = await HubFixture.start();
});

afterEach(() => fixture.stop());

const MIB = 1024 * 1024;
const MODEL = patternBytes(3 * MIB, 7);
const REPOSITORY = "org/Tiny-GGUF";

function blobsFolder(): string {
  return join(fixture.store.repositoryFolder(REPOSITORY), "blobs");
}

async function bytesAt(path: string | undefined): Promise<Buffer> {
  return await readFile(path ?? "");
}

async function failure(work: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  return await work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error) => error,
  );
}

describe("a pull", () => {
  test("leaves blob, link and ref as the hub's other clients do", async () => {
    const commit = fixture.hub.commit(REPOSITORY, { "Tiny-Q4_K_M.gguf": MODEL });
    const result = await fixture.pull(`hf:${REPOSITORY}`);
    const [path = ""] = result.paths;
    const folder = fixture.store.repositoryFolder(REPOSITORY);
    expect(path).toBe(join(folder, "snapshots", commit, "Tiny-Q4_K_M.gguf"));
    expect(await readlink(path)).toBe(`../../blobs/${sha256(MODEL)}`);
    expect((await bytesAt(path)).equals(MODEL)).toBe(true);
    expect(await readFile(join(folder, "refs/main"), "utf8")).toBe(commit);
    expect(await readdir(blobsFolder())).toEqual([sha256(MODEL)]);
    expect(result).toMatchObject({ commit, totalBytes: MODEL.length, fetchedBytes: MODEL.length });
  });

  test("fetches every part, in folders too, and the projector beside them", async () => {
    const files = {
      "Q8_0/Big-Q8_0-00002-of-00002.gguf": patternBytes(2000, 2),
      "Q8_0/Big-Q8_0-00001-of-00002.gguf": patternBytes(1000, 1),
      "mmproj-F32.gguf": patternBytes(400, 3),
      "mmproj-F16.gguf": patternBytes(300, 4),
      "README.md": patternBytes(10, 5),
    };
    fixture.hub.commit(REPOSITORY, files);
    fixture.hub.pageSize = 2;
    const { paths } = await fixture.pull(`hf:${REPOSITORY}:q8_0`);
    expect(paths.map((path) => path.split("/").slice(-2).join("/"))).toEqual([
      "Q8_0/Big-Q8_0-00001-of-00002.gguf",
      "Q8_0/Big-Q8_0-00002-of-00002.gguf",
      expect.stringMatching(/^[0-9a-f]{40}\/mmproj-F16\.gguf$/),
    ]);
    expect((await bytesAt(paths[1])).equals(files["Q8_0/Big-Q8_0-00002-of-00002.gguf"])).toBe(true);
  });

  test("takes a file by name and without the projector when that is said", async () => {
    const [small, mmproj] = [patternBytes(100, 1), patternBytes(50, 2)];
    fixture.hub.commit(REPOSITORY, { "a/x-Q2_K.gguf": small, "a/mmproj.gguf": mmproj });
    const { paths } = await fixture.pull(`hf:${REPOSITORY}/a/x-Q2_K.gguf`, { projector: false });
    expect(paths).toHaveLength(1);
  });

  test("fetches nothing that is there, whoever brought it", async () => {
    fixture.hub.commit(REPOSITORY, { "t-q8_0.gguf": MODEL });
    await Bun.write(join(blobsFolder(), sha256(MODEL)), MODEL);
    const result = await fixture.pull(`hf:${REPOSITORY}`);
    expect(result.fetchedBytes).toBe(0);
    expect(fixture.hub.cdn.requests).toEqual([]);
    expect((await bytesAt(result.paths[0])).equals(MODEL)).toBe(true);
  });

  test("of a revision pins that revision and leaves main alone", async () => {
    const commit = fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    await fixture.pull(`hf:${REPOSITORY}@refs/pr/1`);
    const refs = join(fixture.store.repositoryFolder(REPOSITORY), "refs");
    expect(await readFile(join(refs, "refs/pr/1"), "utf8")).toBe(commit);
    expect(await readdir(refs)).toEqual(["refs"]);
    await fixture.pull(`hf:${REPOSITORY}@${commit}`);
    expect(await readdir(refs)).toEqual(["refs"]);
  });
});

function startOf(range: string | undefined): number {
  return Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
}

describe("a broken transfer", () => {
  test("goes on where it was cut, with the version's tag", async () => {
    const commit = fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    fixture.hub.cdn.fail(
      cdnPath(MODEL),
      { kind: "cut", afterBytes: MIB + 5 },
      { kind: "cut", afterBytes: MIB },
    );
    const { paths } = await fixture.pull(`hf:${REPOSITORY}`);
    expect((await bytesAt(paths[0])).equals(MODEL)).toBe(true);
    const asked = fixture.hub.cdn.requests;
    expect(asked.map(({ ifRange }) => ifRange)).toEqual([
      undefined,
      `"cdn-${commit}"`,
      `"cdn-${commit}"`,
    ]);
    // What came together with the end of a connection may be lost to the client.
    const starts = asked.map(({ range }) => startOf(range));
    expect(starts[1]).toBeGreaterThan(0);
    expect(starts[2]).toBeGreaterThan(starts[1] ?? 0);
  });

  test("is given up after so many failures in a row, and the next run goes on from there", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    const cut = { kind: "cut", afterBytes: 400_000 } as const;
    fixture.hub.cdn.fail(cdnPath(MODEL), cut, cut, cut, cut, cut, cut);
    const error = await failure(fixture.pull(`hf:${REPOSITORY}`));
    expect(error).toMatchObject({ code: "unavailable" });
    expect(error.message).toContain("6 times in a row");
    expect(fixture.clock.sleeps).toEqual([1000, 2000, 4000, 8000, 16_000]);
    await fixture.pull(`hf:${REPOSITORY}`);
    expect(startOf(fixture.hub.cdn.requests.at(-1)?.range)).toBeGreaterThan(MIB);
  });

  test("starts the file again when the server has another version", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    fixture.hub.cdn.fail(cdnPath(MODEL), { kind: "hold", afterBytes: 2 * MIB });
    const pull = fixture.pull(`hf:${REPOSITORY}`);
    await fixture.hub.cdn.waitForHold();
    fixture.hub.cdn.put(cdnPath(MODEL), MODEL, "other");
    fixture.hub.cdn.drop();
    expect((await bytesAt((await pull).paths[0])).equals(MODEL)).toBe(true);
    expect(fixture.notes).toContain("t.gguf starts again: the server sends it whole");
  });

  test("of a file that was replaced on the hub brings the new one", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    const abort = new AbortController();
    fixture.hub.cdn.fail(cdnPath(MODEL), { kind: "hold", afterBytes: MIB });
    const first = fixture.pull(`hf:${REPOSITORY}`, { signal: abort.signal });
    await fixture.hub.cdn.waitForHold();
    abort.abort(new Error("left"));
    expect((await failure(first)).message).toBe("left");
    const next = patternBytes(MIB, 99);
    fixture.hub.commit(REPOSITORY, { "t.gguf": next });
    const { paths } = await fixture.pull(`hf:${REPOSITORY}`);
    expect((await bytesAt(paths[0])).equals(next)).toBe(true);
    expect(fixture.hub.cdn.requests.at(-1)?.range).toBeUndefined();
    // Nobody would go on with the old one's part.
    expect(await readdir(blobsFolder())).toEqual([sha256(next)]);
    expect(await readdir(join(dirname(blobsFolder()), ".cortex"))).toEqual([
      `${sha256(next)}.json`,
    ]);
  });

  test("without ranges starts from the beginning", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    fixture.hub.cdn.hasRanges = false;
    fixture.hub.cdn.fail(cdnPath(MODEL), { kind: "cut", afterBytes: MIB });
    const { paths } = await fixture.pull(`hf:${REPOSITORY}`);
    expect((await bytesAt(paths[0])).equals(MODEL)).toBe(true);
    expect(fixture.notes).toContain("t.gguf starts again: the server sends it whole");
  });

  test("that falls silent is ended and taken up again", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    fixture.hub.cdn.fail(cdnPath(MODEL), { kind: "hold", afterBytes: MIB });
    const connection = {
      ...fixture.connection(),
      timeouts: { headMs: 20_000, silenceMs: 10_000 },
      clock: {
        nowMs: () => 0,
        monotonicMs: () => 0,
        after: fixture.clock.after,
        // Silence is over as soon as the answer is held; any other wait of that length lasts.
        sleep: async (delayMs: number, signal?: AbortSignal) => {
          if (delayMs !== 10_000) return;
          await Promise.race([fixture.hub.cdn.waitForHold(), aborted(signal)]);
          if (signal?.aborted) throw signal.reason;
        },
      },
    };
    connection.clock.sleep = onlyWhenHeld(connection.clock.sleep);
    const { paths } = await fixture.pull(`hf:${REPOSITORY}`, { connection });
    expect((await bytesAt(paths[0])).equals(MODEL)).toBe(true);
    expect(fixture.notes.join("\n")).toContain("The connection was silent for 10 s");
  });
});

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) =>
    signal?.addEventListener("abort", () => resolve(), { once: true }),
  );
}

/** Head timeouts never fire in that test. */
function onlyWhenHeld(sleep: (ms: number, signal?: AbortSignal) => Promise<void>) {
  return async (ms: number, signal?: AbortSignal): Promise<void> => {
    if (ms !== 20_000) return sleep(ms, signal);
    await aborted(signal);
    throw signal?.reason;
  };
}

describe("wrong answers", () => {
  test("bytes with another hash are discarded and never get a name", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    const wrong = Uint8Array.from(MODEL);
    wrong[5] = (wrong[5] ?? 0) ^ 1;
    fixture.hub.cdn.put(cdnPath(MODEL), wrong, "wrong");
    const error = await failure(fixture.pull(`hf:${REPOSITORY}`));
    expect(error.message).toBe(
      `Discarded t.gguf: its bytes have sha256 ${sha256(wrong)}, expected ${sha256(MODEL)}`,
    );
    expect(await readdir(blobsFolder())).toEqual([]);
    await expect(lstat(join(dirname(blobsFolder()), "snapshots"))).rejects.toThrow("ENOENT");
  });

  test("another length than the listed one is refused", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    fixture.hub.cdn.put(cdnPath(MODEL), MODEL.subarray(1), "short");
    const error = await failure(fixture.pull(`hf:${REPOSITORY}`));
    expect(error.message).toContain(`comes with ${MODEL.length - 1} bytes`);
  });

  test("a busy hub is asked again after the time that it names", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    fixture.hub.refuse(429, { retryAfter: "3" });
    fixture.hub.refuse(503, { times: 2 });
    await fixture.pull(`hf:${REPOSITORY}`);
    expect(fixture.clock.sleeps).toEqual([3000, 2000, 4000]);
  });

  test("a signed address that ran out is asked for again", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    fixture.hub.cdn.refuse(403);
    const { paths } = await fixture.pull(`hf:${REPOSITORY}`);
    expect((await bytesAt(paths[0])).equals(MODEL)).toBe(true);
  });

  test("repositories and revisions that do not exist say so", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    const missing = await failure(fixture.pull("hf:org/nothing"));
    expect(missing).toMatchObject({ code: "forbidden" });
    expect(missing.hint).toBe(
      "check the name, or set HF_TOKEN to a token of an account that may read it",
    );
    const revision = await failure(fixture.pull(`hf:${REPOSITORY}@nowhere`));
    expect(revision).toMatchObject({ code: "model_not_found" });
    expect(revision.message).toContain("Invalid rev id");
  });
});

describe("a gated repository", () => {
  test("says what to do without a token, and with one that may not", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL }, { token: "hf_right" });
    const without = await failure(fixture.pull(`hf:${REPOSITORY}`));
    expect(without).toMatchObject({ code: "forbidden" });
    expect(without.message).toContain("401: Access to model org/Tiny-GGUF is restricted.");
    expect(without.hint).toBe(
      `accept the conditions at ${fixture.hub.url}/${REPOSITORY}, then set HF_TOKEN to a token of an account that may read it`,
    );
    const wrong = await failure(fixture.pull(`hf:${REPOSITORY}`, { token: "hf_wrong" }));
    expect(wrong.hint).toContain("use a token whose account");
  });

  test("is read with the token, which never reaches the other host", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL }, { token: "hf_right" });
    await fixture.pull(`hf:${REPOSITORY}`, { token: "hf_right" });
    const sent = fixture.hub.requests.map((request) => request.authorization);
    expect(new Set(sent)).toEqual(new Set(["Bearer hf_right"]));
    expect(fixture.hub.cdn.requests.map((request) => request.authorization)).toEqual([undefined]);
  });
});

describe("room on the disk", () => {
  const old = patternBytes(2000, 11);
  const older = patternBytes(3000, 12);
  const fresh = patternBytes(2500, 13);

  async function pullAged(name: string, bytes: Uint8Array, ageMinutes: number): Promise<string> {
    fixture.hub.commit(`org/${name}`, { [`${name}.gguf`]: bytes });
    const { paths } = await fixture.pull(`hf:org/${name}`);
    const folder = join(fixture.store.repositoryFolder(`org/${name}`), ".cortex");
    const seconds = Date.now() / 1000 - ageMinutes * 60;
    for (const record of await readdir(folder))
      await utimes(join(folder, record), seconds, seconds);
    return paths[0] ?? "";
  }

  test("a pull that the disk cannot hold is refused before a byte is fetched", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    const freeBytes = () => Promise.resolve(256 * MIB + MODEL.length - 1);
    const error = await failure(fixture.pull(`hf:${REPOSITORY}`, { freeBytes }));
    expect(error).toMatchObject({ code: "does_not_fit" });
    expect(error.figures).toMatchObject({ needed_bytes: MODEL.length });
    expect(fixture.hub.cdn.requests).toEqual([]);
  });

  test("the least recently used pulled model goes, and only that", async () => {
    const paths = [await pullAged("older", older, 90), await pullAged("old", old, 30)];
    fixture.hub.commit(REPOSITORY, { "t.gguf": fresh });
    await fixture.pull(`hf:${REPOSITORY}`, { budgetBytes: 5000 });
    expect(await Bun.file(paths[0] ?? "").exists()).toBe(false);
    expect(await Bun.file(paths[1] ?? "").exists()).toBe(true);
    expect(fixture.notes).toContain("Removing hf:org/older, used least recently");
  });

  test("models in use, models of the last minutes and the user's own files stay", async () => {
    const inUse = await pullAged("older", older, 90);
    const recent = await pullAged("old", old, 5);
    const own = join(fixture.store.root, "own.gguf");
    await mkdir(fixture.store.root, { recursive: true });
    await Bun.write(own, patternBytes(9000));
    fixture.hub.commit(REPOSITORY, { "t.gguf": fresh });
    const error = await failure(
      fixture.pull(`hf:${REPOSITORY}`, {
        budgetBytes: 5000,
        isInUse: (record) => record.repository === "org/older",
      }),
    );
    expect(error).toMatchObject({ code: "does_not_fit" });
    expect(error.figures).toMatchObject({ used_bytes: 5000, short_bytes: 2500 });
    for (const path of [inUse, recent, own]) expect(await Bun.file(path).exists()).toBe(true);
  });

  test("what was there before the pull is never removed", async () => {
    await Bun.write(
      join(fixture.store.repositoryFolder("org/older"), "blobs", sha256(older)),
      older,
    );
    const path = await pullAged("older", older, 90);
    fixture.hub.commit(REPOSITORY, { "t.gguf": fresh });
    await fixture.pull(`hf:${REPOSITORY}`, { budgetBytes: 2600 });
    expect(await Bun.file(path).exists()).toBe(true);
  });
});

describe("two pulls at once", () => {
  test("of one repository leave each other's parts and records alone", async () => {
    const other = patternBytes(MIB, 42);
    fixture.hub.commit(REPOSITORY, { "t-Q8_0.gguf": MODEL, "t-Q4_0.gguf": other });
    fixture.hub.cdn.fail(cdnPath(MODEL), { kind: "hold", afterBytes: MIB });
    const slow = fixture.pull(`hf:${REPOSITORY}:Q8_0`);
    await fixture.hub.cdn.waitForHold();
    await fixture.pull(`hf:${REPOSITORY}:Q4_0`);
    fixture.hub.cdn.release();
    expect((await bytesAt((await slow).paths[0])).equals(MODEL)).toBe(true);
    const records = await readdir(join(dirname(blobsFolder()), ".cortex"));
    expect(records.toSorted()).toEqual(
      [MODEL, other].map((bytes) => `${sha256(bytes)}.json`).toSorted(),
    );
  });

  test("of the same file fetch it once", async () => {
    fixture.hub.commit(REPOSITORY, { "t.gguf": MODEL });
    fixture.hub.cdn.fail(cdnPath(MODEL), { kind: "hold", afterBytes: MIB });
    const pulls = [
      fixture.pull(`hf:${REPOSITORY}`),
      fixture.pull(`hf:${REPOSITORY}:f16`).catch(String),
    ];
    await fixture.hub.cdn.waitForHold();
    const second = fixture.pull(`hf:${REPOSITORY}/t.gguf`);
    while (!fixture.notes.some((note) => note.includes("downloaded already"))) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    fixture.hub.cdn.release();
    await Promise.all(pulls);
    expect((await bytesAt((await second).paths[0])).equals(MODEL)).toBe(true);
    expect(fixture.hub.cdn.requests).toHaveLength(1);
  });
});
