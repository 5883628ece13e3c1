/** Sessions of a busy day; about 10 MB. */
const SESSIONS_MAX = 65_536;
/** By then its prompts have left every cache. */
const IDLE_MS_MAX = 3_600_000;

interface Session {
  readonly neuron: string;
  readonly atMs: number;
}

/** Who served each session last. Keys are hashes: what clients call their sessions is not kept. */
export class Sessions {
  readonly #sessions = new Map<number, Session>();

  get size(): number {
    return this.#sessions.size;
  }

  find(key: number, nowMs: number): string | undefined {
    const session = this.#sessions.get(key);
    if (session === undefined || nowMs - session.atMs > IDLE_MS_MAX) return undefined;
    return session.neuron;
  }

  note(key: number, neuron: string, nowMs: number): void {
    this.#sessions.delete(key);
    this.#sessions.set(key, { neuron, atMs: nowMs });
    if (this.#sessions.size <= SESSIONS_MAX) return;
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest);
      return;
    }
  }
}
