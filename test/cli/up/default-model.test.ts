import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ensureDefaultModel,
  hasModels,
  type ModelSource,
} from "../../../src/cli/up/default-model.ts";
import { DEFAULT_MODEL } from "../../../src/cli/up/default-model-facts.ts";
import { downloadFromHub } from "../../../src/cli/up/hub-model.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-model-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** Without the locks, which stay. */
async function filesIn(path: string): Promise<readonly string[]> {
  return (await readdir(path)).filter((name) => name !== ".locks");
}

const broken: ModelSource = {
  name: "a broken source",
  fetch: () => Promise.reject(new Error("no route")),
};

function working(): ModelSource & { readonly targets: string[] } {
  const targets: string[] = [];
  return {
    name: "a working source",
    targets,
    fetch: async (target) => {
      targets.push(target);
      await Bun.write(target, "model");
    },
  };
}

test("the first source that works is taken, and every step is told", async () => {
  const lines: string[] = [];
  const source = working();
  const path = await ensureDefaultModel(join(folder, "sub"), {
    tell: (line) => lines.push(line),
    sources: [broken, source],
  });
  expect(path).toBe(join(folder, "sub", DEFAULT_MODEL.file));
  expect(lines).toEqual([
    `Getting ${DEFAULT_MODEL.file} (98 MB) from a broken source`,
    "Not from a broken source: no route",
    `Getting ${DEFAULT_MODEL.file} (98 MB) from a working source`,
    `Saved ${path}`,
  ]);
  expect(await filesIn(join(folder, "sub"))).toEqual([DEFAULT_MODEL.file]);
});

test("a model that is there is not fetched", async () => {
  await Bun.write(join(folder, DEFAULT_MODEL.file), "model");
  await ensureDefaultModel(folder, { sources: [broken] });
});

test("two calls at once fetch once", async () => {
  const source = working();
  const options = { sources: [source] };
  await Promise.all([ensureDefaultModel(folder, options), ensureDefaultModel(folder, options)]);
  expect(source.targets).toHaveLength(1);
});

test("without any source the error names them all and what to do", async () => {
  const error = await ensureDefaultModel(folder, { sources: [broken] }).catch((thrown) => thrown);
  expect(error.message).toBe(`Cannot get ${DEFAULT_MODEL.file}\na broken source: no route`);
  expect(error.hint).toContain(folder);
});

test("models are found where a neuron finds them", async () => {
  expect(await hasModels(join(folder, "missing"))).toBe(false);
  await Bun.write(join(folder, "a/b/c/d/m.gguf"), "x");
  expect(await hasModels(folder)).toBe(false);
  await Bun.write(join(folder, `models--o--n/snapshots/${"a".repeat(40)}/m.gguf`), "x");
  expect(await hasModels(folder)).toBe(true);
});

const BYTES = Buffer.from("0123456789".repeat(1000));
const expected = {
  sha256: new Bun.CryptoHasher("sha256").update(BYTES).digest("hex"),
  bytes: BYTES.length,
};

/** A hub that serves BYTES, with ranges, and records what was asked of it. */
function startHub(serve: (range: string | null) => Response) {
  const asked: (string | null)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      asked.push(`${new URL(request.url).pathname} ${request.headers.get("range")}`);
      return serve(request.headers.get("range"));
    },
  });
  const env = { HF_ENDPOINT: `http://127.0.0.1:${server.port}/` };
  return { env, asked, stop: () => server.stop(true) };
}

function ranged(range: string | null): Response {
  const start = Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
  if (start >= BYTES.length) return new Response(null, { status: 416 });
  const last = BYTES.length - 1;
  const headers: Record<string, string> =
    start > 0 ? { "content-range": `bytes ${start}-${last}/${BYTES.length}` } : {};
  return new Response(BYTES.subarray(start), { status: start > 0 ? 206 : 200, headers });
}

const tell = () => undefined;

test("a download goes on where an earlier one ended, and is verified", async () => {
  const hub = startHub(ranged);
  try {
    const target = join(folder, "m.gguf");
    await Bun.write(`${target}.part`, BYTES.subarray(0, 4321));
    await downloadFromHub(target, { tell, env: hub.env, expected });
    expect(Buffer.from(await Bun.file(target).arrayBuffer()).equals(BYTES)).toBe(true);
    const { repository, revision, file } = DEFAULT_MODEL;
    expect(hub.asked).toEqual([`/${repository}/resolve/${revision}/${file} bytes=4321-`]);
    expect(await filesIn(folder)).toEqual(["m.gguf"]);
  } finally {
    await hub.stop();
  }
});

test("a part that is whole already is only verified", async () => {
  const hub = startHub(ranged);
  try {
    const target = join(folder, "m.gguf");
    await Bun.write(`${target}.part`, BYTES);
    await downloadFromHub(target, { tell, env: hub.env, expected });
    expect(await Bun.file(target).exists()).toBe(true);
  } finally {
    await hub.stop();
  }
});

test("a server without ranges starts the file anew", async () => {
  const hub = startHub(() => new Response(BYTES));
  try {
    const target = join(folder, "m.gguf");
    await Bun.write(`${target}.part`, "garbage");
    await downloadFromHub(target, { tell, env: hub.env, expected });
    expect(await Bun.file(target).exists()).toBe(true);
  } finally {
    await hub.stop();
  }
});

test("wrong bytes are thrown away and never get the file's name", async () => {
  const hub = startHub(() => new Response("x".repeat(BYTES.length)));
  try {
    const target = join(folder, "m.gguf");
    const download = downloadFromHub(target, { tell, env: hub.env, expected });
    await expect(download).rejects.toThrow("sha256");
    await download.catch(() => undefined);
    expect(await filesIn(folder)).toEqual([]);
  } finally {
    await hub.stop();
  }
});

test("an answer that is no file and an offline setting are errors", async () => {
  const hub = startHub(() => new Response("no", { status: 404 }));
  try {
    const target = join(folder, "m.gguf");
    await expect(downloadFromHub(target, { tell, env: hub.env })).rejects.toThrow(
      "The hub does not have",
    );
    await expect(downloadFromHub(target, { tell, env: { HF_HUB_OFFLINE: "1" } })).rejects.toThrow(
      "HF_HUB_OFFLINE",
    );
  } finally {
    await hub.stop();
  }
});
