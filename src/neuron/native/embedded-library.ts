import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { CortexError, describeError } from "../../base/errors.ts";

/** The CPU library inside a compiled executable; undefined in a source checkout or a build without it. */
export function findEmbeddedLibrary(): Blob | undefined {
  return Bun.embeddedFiles.find((file) => {
    const name = (file as Blob & { readonly name?: string }).name ?? "";
    return /(^|\/)libneuron_cpu[^/]*\.so$/.test(name);
  });
}

/**
 * Writes a library once under its content's hash and returns its path. Bun could load it by itself, but only through
 * TMPDIR, which may be unwritable or mounted noexec.
 * @throws CortexError when the cache folder cannot be written
 */
export async function extractLibrary(library: Blob, cache: string): Promise<string> {
  const bytes = await library.bytes();
  const hash = Bun.hash.xxHash64(bytes).toString(16).padStart(16, "0");
  const folder = join(cache, "lib", hash);
  const path = join(folder, "libneuron_cpu.so");
  try {
    if ((await sizeOf(path)) === bytes.length) return path;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Another process may extract at the same time: the rename makes either one's whole file appear at once.
    const partial = join(folder, `.${Bun.randomUUIDv7()}.partial`);
    try {
      await Bun.write(partial, bytes, { mode: 0o500 });
      await rename(partial, path);
    } finally {
      await rm(partial, { force: true });
    }
    return path;
  } catch (error) {
    throw new CortexError(
      "unavailable",
      `Cannot extract the native library to ${folder}: ${describeError(error)}`,
      {
        cause: error,
        hint: "Set CORTEX_CACHE_DIR to a folder that this user can write",
      },
    );
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    (status) => status.size,
    () => undefined,
  );
}
