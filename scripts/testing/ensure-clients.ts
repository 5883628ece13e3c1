import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../../src/base/cache-folder.ts";
import { run, say } from "../native-progress.ts";
import { exists, hashOf, withLock } from "../native-source.ts";

const FOLDER = join(import.meta.dir, "../../test/e2e/clients");
const PIN_FILES = ["package.json", "bun.lock"] as const;
/** What bun leaves to run by hand: each puts the binary of this platform in the place of a stub. */
const INSTALLERS = ["@anthropic-ai/claude-code/install.cjs", "opencode-ai/postinstall.mjs"];

/** A gigabyte for each version is worth keeping for some weeks, not for ever. */
const KEEP_DAYS = 30;

/** The programs to start. */
export interface Clients {
  readonly claudeCode: readonly string[];
  readonly codex: readonly string[];
  readonly opencode: readonly string[];
}

/**
 * The pinned clients, installed where they are missing: a gigabyte beside the other build caches, under a name that
 * changes with the lock file, so that no other project pays for it.
 */
export async function ensureClients(): Promise<Clients> {
  const pins = await Promise.all(PIN_FILES.map((name) => Bun.file(join(FOLDER, name)).text()));
  const folder = join(cacheFolder(), `clients-${await hashOf(pins)}`);
  if (!(await exists(join(folder, "package.json")))) {
    await withLock(`${folder}.lock`, () => install(folder));
  }
  const now = Date.now() / 1000;
  await utimes(folder, now, now);
  const modules = join(folder, "node_modules");
  return {
    claudeCode: [join(modules, "@anthropic-ai/claude-code/bin/claude.exe")],
    codex: [process.execPath, join(modules, "@openai/codex/bin/codex.js")],
    opencode: [join(modules, "opencode-ai/bin/opencode.exe")],
  };
}

async function install(folder: string): Promise<void> {
  // Whoever held the lock before has done it.
  if (await exists(join(folder, "package.json"))) return;
  const part = `${folder}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  for (const name of PIN_FILES) await Bun.write(join(part, name), Bun.file(join(FOLDER, name)));
  say("Fetching Claude Code, Codex and opencode (pinned by test/e2e/clients/bun.lock)");
  const bun = (command: readonly string[]) =>
    run([process.execPath, ...command], { cwd: part, env: { BUN_BE_BUN: "1" } });
  await bun(["install", "--frozen-lockfile", "--ignore-scripts", "--no-progress"]);
  for (const installer of INSTALLERS) await bun([join(part, "node_modules", installer)]);
  await rename(part, folder);
  await forgetOldClients(join(folder, ".."));
}

async function forgetOldClients(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith("clients-")) continue;
    const path = join(cache, name);
    const ageDays = (Date.now() - (await stat(path)).mtimeMs) / 86_400_000;
    if (ageDays > KEEP_DAYS) await rm(path, { recursive: true, force: true });
  }
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await ensureClients(), null, 2)}\n`);
