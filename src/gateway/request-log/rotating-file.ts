import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { CortexError, describeError } from "../../base/errors.ts";

/** Only the gateway's own user reads it: it tells who asked what when. */
const MODE = 0o600;

/** A file that is appended to and moved aside when it is full. Owner of the open file. */
export class RotatingFile {
  readonly #path: string;
  readonly #bytesMax: number;
  readonly #filesMax: number;
  #file: FileHandle | undefined;

  constructor(options: {
    readonly path: string;
    /** A file is moved aside before it would be larger. */
    readonly bytesMax: number;
    /** The newest one included. */
    readonly filesMax: number;
  }) {
    this.#path = options.path;
    this.#bytesMax = options.bytesMax;
    this.#filesMax = options.filesMax;
  }

  /** Throws `invalid_config` when the file cannot be written to. */
  async open(): Promise<void> {
    try {
      this.#file = await open(this.#path, "a", MODE);
    } catch (thrown) {
      const text = `Cannot open the request log ${this.#path}: ${describeError(thrown)}`;
      throw new CortexError("invalid_config", text, { cause: thrown });
    }
  }

  /** Appends all of the bytes or, where that fails, nothing. One call at a time. */
  async write(bytes: Uint8Array): Promise<void> {
    let file = await this.#current();
    let { size } = await file.stat();
    if (size > 0 && size + bytes.length > this.#bytesMax) {
      await this.#moveAside();
      file = await this.#current();
      size = (await file.stat()).size;
    }
    let done = 0;
    try {
      while (done < bytes.length) {
        done += (await file.write(bytes, done, bytes.length - done)).bytesWritten;
      }
    } catch (thrown) {
      if (done > 0) await file.truncate(size);
      throw thrown;
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** The file that has the path now: others may have moved the one that was opened. */
  async #current(): Promise<FileHandle> {
    const named = await statIfThere(this.#path);
    const own = await this.#file?.stat();
    if (this.#file !== undefined && named?.ino === own?.ino && named?.dev === own?.dev) {
      return this.#file;
    }
    await this.close();
    this.#file = await open(this.#path, "a", MODE);
    return this.#file;
  }

  async #moveAside(): Promise<void> {
    const oldest = this.#filesMax - 1;
    await rm(this.#nameOf(oldest), { force: true });
    for (let index = oldest - 1; index >= 0; index -= 1) {
      const from = this.#nameOf(index);
      if ((await statIfThere(from)) !== undefined) await rename(from, this.#nameOf(index + 1));
    }
  }

  #nameOf(index: number): string {
    return index === 0 ? this.#path : `${this.#path}.${index}`;
  }
}

async function statIfThere(path: string) {
  try {
    return await stat(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}
