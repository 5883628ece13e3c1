import { closeSync, openSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import { describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { replaceJson } from "../replace-json.ts";
import type { ProbeReport } from "./probe.ts";

/** The first CPU's part of /proc/cpuinfo, with what it can execute. */
const CPU_FACTS_BYTES = 4096;

/** What a probe depends on; tests hand in their own. */
export interface ProbeMemory {
  /** Where the last good report is kept. */
  readonly record: string;
  readonly tryLibrary: (path: string) => Promise<ProbeReport>;
  /** Names this boot of this machine; undefined when the kernel does not tell, and nothing is remembered. */
  readonly machine: () => string | undefined;
  /** Files whose change calls for a new probe, beside the library. */
  readonly files: readonly string[];
  readonly log: Log;
}

/**
 * Tries a library that needs no driver once per boot, because a child process costs a tenth of a second at each start.
 * The same file on the same CPU under the same kernel ends in the same way. Only success without a GPU is remembered.
 */
export async function tryOnce(path: string, memory: ProbeMemory): Promise<ProbeReport> {
  const key = await identifyLibrary(path, memory);
  const known = key === undefined ? undefined : await read(memory.record, key);
  if (known !== undefined) return known;
  const report = await memory.tryLibrary(path);
  const needsNoDriver = report.ok && report.deviceKinds.every((kind) => kind === "cpu");
  if (key !== undefined && needsNoDriver) await keep(memory, { key, report });
  return report;
}

/** This boot and what the CPU can execute: both may change under a machine that moves to another host. */
export function describeMachine(): string | undefined {
  try {
    const boot = readStart("/proc/sys/kernel/random/boot_id");
    return `${boot} ${readStart("/proc/cpuinfo").replace(/^cpu MHz.*$/m, "")}`;
  } catch {
    // A kernel that does not tell, or hides it from containers.
    return undefined;
  }
}

function readStart(path: string): string {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(CPU_FACTS_BYTES);
    return bytes.toString("utf8", 0, readSync(file, bytes)).split("\n\n")[0] ?? "";
  } finally {
    closeSync(file);
  }
}

/** Names a library, this machine and its boot; undefined when one of them cannot be told. */
export async function identifyLibrary(
  path: string,
  { machine, files: others }: Pick<ProbeMemory, "machine" | "files">,
): Promise<string | undefined> {
  const thisMachine = machine();
  if (thisMachine === undefined) return undefined;
  const files = await Promise.all([path, ...others].map(identityOf));
  if (files.includes(undefined)) return undefined;
  return Bun.hash.xxHash64([thisMachine, ...files].join("\n")).toString(16);
}

async function identityOf(path: string): Promise<string | undefined> {
  return await stat(path).then(
    ({ size, mtimeMs, ino }) => `${path}:${size}:${mtimeMs}:${ino}`,
    () => undefined,
  );
}

async function read(record: string, key: string): Promise<ProbeReport | undefined> {
  try {
    const kept = (await Bun.file(record).json()) as { key?: unknown; report: ProbeReport };
    return kept.key === key ? kept.report : undefined;
  } catch {
    // There is none yet, or a damaged one, which the next probe replaces.
    return undefined;
  }
}

/** The daemon starts as well where it may write no cache. */
async function keep(
  { record, log }: ProbeMemory,
  kept: { readonly key: string; readonly report: ProbeReport },
): Promise<void> {
  try {
    await replaceJson(record, kept);
  } catch (error) {
    log.debug("The probe of the native library is not remembered", { cause: describeError(error) });
  }
}
