import { mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a file of this user's own, and its folder; whoever reads it meanwhile has the old content or the new one. */
export async function replaceJson(path: string, value: unknown): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await Bun.write(part, JSON.stringify(value));
  await rename(part, path);
}
