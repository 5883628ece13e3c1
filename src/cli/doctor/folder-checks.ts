import { mkdtemp, readdir, rm, stat, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cacheFolder } from "../../base/cache-folder.ts";
import { systemClock } from "../../base/clock.ts";
import { describeError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { formatBytes } from "../../base/units.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import { Catalogue } from "../../neuron/models/catalogue.ts";
import { stateFolder } from "../../neuron/state-folder.ts";
import { modelFolders } from "../../neuron/supply/model-folders.ts";
import { type Finding, fine, problem, quoteWord } from "./finding.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const MODELS = "models";
const DISK = "disk space";
const WRITABLE = "writable folder";
/** A small model in a small quantization needs about that much. */
const DISK_MIN_BYTES = 2 * 1024 ** 3;
/** Damaged models that are named one by one. */
const NAMED_MAX = 3;

/** Whether models are where the neuron looks, and whether there is room for more. */
export async function checkModels(
  config: NeuronConfig,
  env: Environment,
): Promise<readonly Finding[]> {
  const { folders, store } = modelFolders(config, env);
  const findings: Finding[] = [];
  for (const { name, path, isOptional } of folders) {
    try {
      await readdir(path);
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
      if (isMissing && isOptional) continue;
      const mend = isMissing ? `mkdir -p ${quoteWord(path)}` : `ls -ld ${quoteWord(path)}`;
      findings.push(problem(MODELS, `Cannot read ${name} ${path}: ${describeError(error)}`, mend));
    }
  }
  if (findings.length === 0) findings.push(...(await listModels(folders)));
  return [...findings, await checkDisk(store.root)];
}

async function listModels(
  folders: ReturnType<typeof modelFolders>["folders"],
): Promise<readonly Finding[]> {
  const catalogue = new Catalogue({ folders, log: silentLog, clock: systemClock });
  await catalogue.scan();
  const entries = catalogue.entries();
  const where = folders.map(({ path }) => path).join(" and ");
  if (entries.length === 0) {
    const mend = "cortex pull hf:ggml-org/gemma-3-4b-it-GGUF:Q4_K_M";
    return [problem(MODELS, `No GGUF file in ${where}`, mend)];
  }
  const bad = entries.filter((entry) => entry.problem !== undefined);
  const good = entries.length - bad.length;
  const named = bad.slice(0, NAMED_MAX).map(({ id, path, problem: why }) => {
    return problem(
      MODELS,
      `${path} cannot be served: ${why}`,
      `cortex rm ${quoteWord(id)} --force`,
    );
  });
  const unnamed = bad.length - named.length;
  const more = unnamed === 0 ? "" : `, ${unnamed} more cannot be served`;
  if (good === 0) return named;
  return [fine(MODELS, `${good} in ${where}${more}`), ...named];
}

async function checkDisk(root: string): Promise<Finding> {
  const folder = await nearestFolder(root);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const text = `${formatBytes(free)} free for models in ${root}`;
  if (free >= DISK_MIN_BYTES) return fine(DISK, text);
  return problem(DISK, text, `du -xh --max-depth=2 ${quoteWord(folder)} | sort -h | tail`);
}

/** Whether what the daemons write has a place: temporary files, the extracted library, and what outlives a stop. */
export async function checkWritable(env: Environment): Promise<readonly Finding[]> {
  const places = [
    { name: "TMPDIR", path: env["TMPDIR"] || tmpdir(), mustRun: false },
    { name: "cache", path: cacheFolder(env), mustRun: true },
    { name: "state", path: stateFolder(env), mustRun: false },
  ];
  const mounts = await Bun.file("/proc/self/mounts")
    .text()
    // Not every system has /proc; then nothing is said of noexec.
    .catch(() => "");
  return await Promise.all(
    places.map(async ({ name, path, mustRun }) => {
      const folder = await nearestFolder(path);
      try {
        await rm(await mkdtemp(join(folder, ".cortex-doctor-")), { recursive: true });
      } catch (error) {
        const text = `The folder for ${name}, ${path}: ${describeError(error)}`;
        return problem(WRITABLE, text, mendFor(error, quoteWord(folder)));
      }
      if (mustRun && findMount(mounts, folder)?.options.includes("noexec") === true) {
        const text = `The folder for ${name}, ${path}, is mounted noexec: no library can be loaded`;
        return problem(WRITABLE, text, "export CORTEX_CACHE_DIR=/var/cache/cortex");
      }
      return fine(WRITABLE, `${name}: ${path}`);
    }),
  );
}

function mendFor(error: unknown, folder: string): string {
  const { code = "" } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") return `df -h ${folder}`;
  return code === "EACCES" ? `sudo chown "$USER" ${folder}` : `ls -ld ${folder}`;
}

/** The mount that a folder is on, by the longest prefix. */
export function findMount(
  mounts: string,
  folder: string,
): { readonly point: string; readonly options: readonly string[] } | undefined {
  let best: { readonly point: string; readonly options: readonly string[] } | undefined;
  for (const line of mounts.split("\n")) {
    const [, point, , options = ""] = line.split(" ");
    if (point === undefined) continue;
    const isAbove = folder === point || folder.startsWith(point === "/" ? "/" : `${point}/`);
    // Of two at one point the later one is on top.
    if (isAbove && point.length >= (best?.point.length ?? 0)) {
      best = { point, options: options.split(",") };
    }
  }
  return best;
}

/** The folder itself, else the nearest one above it that exists: there it would be made. */
async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    // What cannot be looked at is as good as missing.
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() === true || folder === dirname(folder)) return folder;
  }
}
