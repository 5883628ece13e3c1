import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CortexError } from "../../src/base/errors.ts";

/** Writes files into a folder of their own for the time of a test, and says where they are. */
export async function withFiles<T>(
  files: Readonly<Record<string, string>>,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "cortex-config-"));
  try {
    for (const [name, text] of Object.entries(files)) await Bun.write(join(folder, name), text);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The lines of the error that a load ends with, without the folder's name and excerpts of files. */
export async function errorLines(load: Promise<unknown>, folder: string): Promise<string[]> {
  const error = await load.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CortexError) || error.code !== "invalid_config") {
    throw new Error(`Expected invalid_config, got ${String(error)}`);
  }
  const lines = error.message.replaceAll(`${folder}/`, "").split("\n");
  return lines.filter((line) => !/^ +\d* \| /.test(line));
}
