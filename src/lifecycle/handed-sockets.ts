import { closeSync, writeSync } from "node:fs";
import { CortexError } from "../base/errors.ts";

/** A listening socket that one process hands to the next, so that no connection in its queue is lost. */
export interface HandedSocket {
  /** What it is for. */
  readonly name: string;
  /** As the configuration says it: a socket of another address is of no use. */
  readonly address: string;
  readonly fd: number;
  readonly port: number;
}

/** Names the sockets of a successor and where it tells that it serves. */
export const HANDED_VARIABLE = "CORTEX_HANDED_SOCKETS";

/** What stands in the variable, as JSON. */
export interface Handed {
  readonly sockets: readonly HandedSocket[];
  readonly readyFd: number;
}

/** The sockets that this process was started with. Owner of those that nobody took. */
export class HandedSockets {
  readonly #left: HandedSocket[];
  readonly #readyFd: number | undefined;

  private constructor(handed: Handed | undefined) {
    this.#left = [...(handed?.sockets ?? [])];
    this.#readyFd = handed?.readyFd;
  }

  /** Reads the environment once, so that no later child takes the sockets for its own. */
  static take(env: NodeJS.ProcessEnv): HandedSockets {
    const text = env[HANDED_VARIABLE];
    delete env[HANDED_VARIABLE];
    if (text === undefined) return new HandedSockets(undefined);
    try {
      return new HandedSockets(JSON.parse(text) as Handed);
    } catch (cause) {
      const what = `${HANDED_VARIABLE} is set and no JSON; it is for successors alone`;
      throw new CortexError("invalid_config", what, { cause });
    }
  }

  /** Whether another process serves until this one does. */
  get hasPredecessor(): boolean {
    return this.#readyFd !== undefined;
  }

  /** The socket of that name, when it listens where it is wanted. */
  claim(name: string, address: string): HandedSocket | undefined {
    const index = this.#left.findIndex((socket) => socket.name === name);
    if (this.#left[index]?.address !== address) return undefined;
    return this.#left.splice(index, 1)[0];
  }

  /** Tells the predecessor that this process serves; what nobody claimed is closed, or clients would wait there. */
  settle(): void {
    for (const { fd } of this.#left.splice(0)) closeSync(fd);
    if (this.#readyFd === undefined) return;
    try {
      writeSync(this.#readyFd, READY);
    } catch (thrown) {
      // It has died meanwhile: nobody waits for this word any more.
      if ((thrown as { code?: unknown }).code !== "EPIPE") throw thrown;
    }
    closeSync(this.#readyFd);
  }
}

/** What a successor writes once it serves. */
export const READY = "ready\n";
