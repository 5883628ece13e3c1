import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { CortexError } from "../base/errors.ts";

/** The port of an address that is another at each start: nobody finds such a daemon again. */
const ANY_PORT = /:0$/;
const UNSAFE_CHARACTERS = /[^A-Za-z0-9.-]+/g;

/**
 * Whether an operator takes this neuron out, as every gateway is told. A file keeps it, so that a daemon which is
 * restarted for maintenance is out until it is taken back. Owner of both.
 */
export class OperatorDrain {
  /** Undefined where nothing is kept. */
  readonly #path: string | undefined;
  #isDrained = false;

  constructor(options: { readonly folder: string; readonly listen: string }) {
    const { folder, listen } = options;
    const name = `drained-${listen.replace(UNSAFE_CHARACTERS, "_")}`;
    this.#path = ANY_PORT.test(listen) ? undefined : join(folder, name);
  }

  get isDrained(): boolean {
    return this.#isDrained;
  }

  /** Reads what the daemon before this one was told. */
  async read(): Promise<void> {
    this.#isDrained = this.#path !== undefined && (await Bun.file(this.#path).exists());
  }

  /** @throws CortexError internal where it cannot be kept; then nothing has changed. */
  async set(isDrained: boolean): Promise<void> {
    if (this.#path !== undefined) await write(this.#path, isDrained);
    this.#isDrained = isDrained;
  }
}

async function write(path: string, isDrained: boolean): Promise<void> {
  try {
    await mkdir(join(path, ".."), { recursive: true });
    if (isDrained) await Bun.write(path, "");
    else await rm(path, { force: true });
  } catch (cause) {
    throw new CortexError("internal", `Cannot keep the drain in ${path}`, { cause });
  }
}
