import { open, rename, rm } from "node:fs/promises";
import { CortexError } from "../base/errors.ts";

/** What a file's bytes must hash to. */
export interface Digest {
  /** `git-sha1` is the hash that git gives to a blob: over a header with its size, then the bytes. */
  readonly algorithm: "sha256" | "git-sha1";
  /** In lower case. */
  readonly hex: string;
}

/** Hashes bytes as they come. */
export class DigestCheck {
  readonly #hasher: Bun.CryptoHasher;
  readonly #digest: Digest;

  constructor(digest: Digest, bytes: number) {
    this.#digest = digest;
    this.#hasher = new Bun.CryptoHasher(digest.algorithm === "sha256" ? "sha256" : "sha1");
    if (digest.algorithm === "git-sha1") this.#hasher.update(`blob ${bytes}\0`);
  }

  update(piece: Uint8Array): void {
    this.#hasher.update(piece);
  }

  /** What is wrong with the bytes, in words; undefined when they are the expected ones. Call once. */
  findFault(): string | undefined {
    const actual = this.#hasher.digest("hex");
    const { algorithm, hex } = this.#digest;
    const name = algorithm === "sha256" ? "sha256" : "git hash";
    return actual === hex ? undefined : `its bytes have ${name} ${actual}, expected ${hex}`;
  }
}

/**
 * Moves a file to its place if its bytes are the expected ones, and removes it otherwise. The file reaches the disk
 * before it gets its name, so that a crash leaves no half file under it.
 * @throws CortexError load_failed
 */
export async function moveVerified(
  part: string,
  target: string,
  expected: { readonly sha256: string },
): Promise<void> {
  const check = new DigestCheck({ algorithm: "sha256", hex: expected.sha256 }, 0);
  for await (const piece of Bun.file(part).stream()) check.update(piece);
  const fault = check.findFault();
  if (fault !== undefined) {
    await rm(part, { force: true });
    throw new CortexError("load_failed", `Discarded ${part}: ${fault}`);
  }
  const file = await open(part, "r+");
  await file.sync();
  await file.close();
  await rename(part, target);
}
