import { open, rename, rm } from "node:fs/promises";
import { CortexError } from "../../base/errors.ts";

/**
 * Moves a downloaded file to its place if its bytes are the expected ones, and removes it otherwise. The file reaches
 * the disk before it gets its name, so that a crash leaves no half file under it.
 */
export async function moveVerified(
  part: string,
  target: string,
  expected: { readonly sha256: string },
): Promise<void> {
  const actual = await sha256Of(part);
  if (actual !== expected.sha256) {
    await rm(part, { force: true });
    throw new CortexError(
      "load_failed",
      `Downloaded bytes have sha256 ${actual}, expected ${expected.sha256}`,
    );
  }
  const file = await open(part, "r+");
  await file.sync();
  await file.close();
  await rename(part, target);
}

/** SHA-256 of a file in hexadecimal. */
export async function sha256Of(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  return hasher.digest("hex");
}
