import {
  type FileHandle,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { dirname } from "node:path";
import { CortexError } from "../base/errors.ts";
import { type Digest, DigestCheck } from "./verify-file.ts";

/** The ending of what an interrupted download has left. */
export const PART_ENDING = ".part";

/**
 * The bytes of one file that have arrived so far, kept across runs, and their hash. One process at a time may have it
 * open: see {@link withFileLock}.
 */
export class PartFile {
  readonly #target: string;
  readonly #path: string;
  readonly #expected: { readonly digest: Digest; readonly bytes: number };
  #file: FileHandle;
  #check: DigestCheck;
  #size = 0;
  #etag: string | undefined;

  private constructor(
    target: string,
    options: {
      readonly file: FileHandle;
      readonly expected: { readonly digest: Digest; readonly bytes: number };
    },
  ) {
    this.#target = target;
    this.#path = target + PART_ENDING;
    this.#file = options.file;
    this.#expected = options.expected;
    this.#check = new DigestCheck(options.expected.digest, options.expected.bytes);
  }

  /** Opens what there is, reading it once for its hash; what is longer than the file can be is thrown away. */
  static async open(
    target: string,
    expected: { readonly digest: Digest; readonly bytes: number },
  ): Promise<PartFile> {
    await mkdir(dirname(target), { recursive: true });
    const file = await open(target + PART_ENDING, "a");
    const part = new PartFile(target, { file, expected });
    try {
      await part.#readExisting();
    } catch (error) {
      await file.close();
      throw error;
    }
    return part;
  }

  /** Bytes that are there. */
  get size(): number {
    return this.#size;
  }

  /** Tag of the version that the bytes came from, where the server gave a strong one. */
  get etag(): string | undefined {
    return this.#etag;
  }

  async append(piece: Uint8Array): Promise<void> {
    await this.#file.appendFile(piece);
    this.#check.update(piece);
    this.#size += piece.length;
  }

  /** Forgets all bytes; the next ones are the file's first and belong to the version of this tag. */
  async restart(etag: string | undefined): Promise<void> {
    await this.#file.truncate(0);
    this.#size = 0;
    this.#check = new DigestCheck(this.#expected.digest, this.#expected.bytes);
    await this.keepTag(etag);
  }

  /** Remembers the version for a later run. */
  async keepTag(etag: string | undefined): Promise<void> {
    this.#etag = etag;
    if (etag === undefined) await rm(this.#tagPath, { force: true });
    else await writeFile(this.#tagPath, etag);
  }

  /**
   * Gives the file its name if it is whole and right; wrong bytes are discarded.
   * @throws CortexError load_failed
   */
  async finish(name: string): Promise<void> {
    const fault = this.#check.findFault();
    if (fault !== undefined) {
      await rm(this.#path, { force: true });
      await rm(this.#tagPath, { force: true });
      throw new CortexError("load_failed", `Discarded ${name}: ${fault}`, {
        hint: "the same again, which starts this file from its beginning",
      });
    }
    // On the disk before it gets its name, so that a crash leaves no half file under it.
    await this.#file.sync();
    await rename(this.#path, this.#target);
    await rm(this.#tagPath, { force: true });
  }

  /** Leaves the bytes for the next run. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  get #tagPath(): string {
    return `${this.#path}.etag`;
  }

  async #readExisting(): Promise<void> {
    const { size } = await this.#file.stat();
    if (size === 0) return;
    if (size > this.#expected.bytes) {
      await this.restart(undefined);
      return;
    }
    for await (const piece of Bun.file(this.#path).stream()) this.#check.update(piece);
    this.#size = size;
    // Without a tag the bytes are continued, too: their hash is checked at the end.
    const etag = await readFile(this.#tagPath, "utf8").catch(() => undefined);
    this.#etag = etag !== undefined && isStrongTag(etag) ? etag : undefined;
  }
}

/** Size of what an earlier run has left of a file. */
export async function partBytes(target: string): Promise<number> {
  return await stat(target + PART_ENDING).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Whether a tag names the very bytes; a weak one does not, and If-Range must not carry it. */
export function isStrongTag(etag: string): boolean {
  return /^"[\x21\x23-\x7e]{1,256}"$/.test(etag);
}
