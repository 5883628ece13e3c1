import {
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join, resolve } from "node:path";
import { cacheFolder } from "../src/base/cache-folder.ts";
import { run, say } from "./native-progress.ts";

export const CUDA_FOLDER = resolve(import.meta.dir, "../cuda");
const SOURCE_FILES = ["package.json", "bunfig.toml", "bun.lock"] as const;
const BUNDLE = "node_modules/node-llama-cpp/llama/gitRelease.bundle";

/** Where builds live between runs; nothing in it is needed to understand the checkout. */
export function buildsFolder(): string {
  return join(cacheFolder(), "native");
}

/** A short key of all parts; their borders count. */
export async function hashOf(parts: readonly (string | Uint8Array)[]): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const part of parts) {
    hasher.update(`${part.length}:`);
    hasher.update(part);
  }
  return hasher.digest("hex").slice(0, 20);
}

/** Names and bytes of the files below a folder, in a fixed order. */
export async function readTree(folder: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, name);
    if ((await stat(path)).isFile()) files.set(name, await readFile(path));
  }
  return files;
}

async function sourceFiles(): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of SOURCE_FILES)
    files.set(name, await readFile(join(CUDA_FOLDER, "source", name)));
  return files;
}

/** The engine's source as the lock file pins it, with our patches or (for comparisons) without. */
export async function ensureSource(options: {
  readonly patched: boolean;
}): Promise<{ path: string; key: string }> {
  const files = await sourceFiles();
  const patches = options.patched
    ? await readTree(join(CUDA_FOLDER, "patches"))
    : new Map<string, Uint8Array>();
  const key = await hashOf([...files, ...patches].flat());
  const folder = join(buildsFolder(), `source-${key}`);
  if (await exists(join(folder, "llama/CMakeLists.txt")))
    return { path: join(folder, "llama"), key };

  const part = `${folder}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  for (const [name, bytes] of files) await writeFile(join(part, name), bytes);
  say("Fetching the engine's source (node-llama-cpp, pinned by cuda/source/bun.lock)");
  await run(
    [process.execPath, "install", "--frozen-lockfile", "--ignore-scripts", "--no-progress"],
    {
      cwd: part,
      env: { BUN_BE_BUN: "1" },
    },
  );
  await run(["git", "clone", "--quiet", join(part, BUNDLE), join(part, "llama")]);
  for (const name of patches.keys()) await applyPatch(join(part, "llama"), name);
  await rm(join(part, "node_modules"), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
  await rename(part, folder);
  return { path: join(folder, "llama"), key };
}

async function applyPatch(repository: string, name: string): Promise<void> {
  const path = join(CUDA_FOLDER, "patches", name);
  try {
    await run(["git", "apply", "--check", path], { cwd: repository });
  } catch (error) {
    throw new Error(
      `Cannot build the engine: cuda/patches/${name} does not fit the pinned source`,
      { cause: error },
    );
  }
  await run(["git", "apply", path], { cwd: repository });
}

/** Whether a file is there. */
export async function exists(path: string): Promise<boolean> {
  return await Bun.file(path).exists();
}

/** Copies our own sources beside the objects; unchanged files keep their time, so that only changes are rebuilt. */
export async function copyOwnSources(target: string): Promise<void> {
  const wanted = new Map<string, Uint8Array>();
  for (const folder of ["src", "include"]) {
    for (const [name, bytes] of await readTree(join(CUDA_FOLDER, folder)))
      wanted.set(join(folder, name), bytes);
  }
  wanted.set("CMakeLists.txt", await readFile(join(CUDA_FOLDER, "CMakeLists.txt")));
  await mkdir(target, { recursive: true });
  for (const name of (await readTree(target)).keys()) {
    if (!wanted.has(name)) await rm(join(target, name));
  }
  for (const [name, bytes] of wanted) {
    const path = join(target, name);
    if ((await exists(path)) && Buffer.compare(await readFile(path), bytes) === 0) continue;
    await mkdir(resolve(path, ".."), { recursive: true });
    await writeFile(path, bytes);
  }
}

/** All that is ours in the library, for its key. */
export async function ownSourceBytes(): Promise<(string | Uint8Array)[]> {
  const parts: (string | Uint8Array)[] = [await readFile(join(CUDA_FOLDER, "CMakeLists.txt"))];
  for (const folder of ["src", "include"])
    parts.push(...[...(await readTree(join(CUDA_FOLDER, folder)))].flat());
  return parts;
}

/** Holds a file lock while work runs; a second build waits for the first. The lock ends with this process. */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  await mkdir(resolve(path, ".."), { recursive: true });
  if (Bun.which("flock") === null) return await work(); // util-linux is missing only in stripped containers
  const holder = Bun.spawn(["flock", path, "sh", "-c", "echo held; exec cat"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const waiting = setTimeout(() => say("Another build is running; waiting for it"), 1000);
  await holder.stdout.getReader().read();
  clearTimeout(waiting);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await holder.exited;
  }
}

/** Half a gigabyte per set of flags is worth keeping for some weeks, not for ever. */
const KEEP_BUILDS_DAYS = 30;

/** Marks what was used now and removes builds that nobody has used for a month. */
export async function forgetOldBuilds(usedKeys: readonly string[]): Promise<void> {
  const now = Date.now();
  for (const name of await readdir(buildsFolder())) {
    const path = join(buildsFolder(), name);
    if (usedKeys.some((key) => name.endsWith(key))) await utimes(path, now / 1000, now / 1000);
    const ageDays = (now - (await stat(path)).mtimeMs) / 86_400_000;
    if (ageDays > KEEP_BUILDS_DAYS) await rm(path, { recursive: true, force: true });
  }
}

/** Puts a file in place under another name without copying where the file system allows it; replaces atomically. */
export async function place(from: string, to: string): Promise<void> {
  await mkdir(resolve(to, ".."), { recursive: true });
  const part = `${to}.${process.pid}.part`;
  await rm(part, { force: true });
  await cp(from, part);
  await rename(part, to);
}
