import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import type { HubConnection, HubTimeouts } from "../../src/hub/hub-request.ts";
import { parseHubSource } from "../../src/hub/hub-source.ts";
import { HubStore } from "../../src/hub/hub-store.ts";
import { type PullOptions, type PullResult, planPull, runPull } from "../../src/hub/pull-model.ts";
import { FakeHub } from "../fakes/fake-hub.ts";

/** Of a silent hub: they must not fire at once. */
const TIMEOUTS_MS = [15_000, 30_000];

/** The machine's time, but pauses between attempts pass at once; they are recorded. */
export class HurriedClock implements Clock {
  readonly sleeps: number[] = [];
  nowMs = () => systemClock.nowMs();
  monotonicMs = () => systemClock.monotonicMs();
  after = systemClock.after;

  async sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    if (TIMEOUTS_MS.includes(delayMs)) return systemClock.sleep(delayMs, signal);
    this.sleeps.push(delayMs);
    signal?.throwIfAborted();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** A fake hub, an empty store, and pulls from one to the other. */
export class HubFixture {
  readonly hub = new FakeHub();
  readonly clock = new HurriedClock();
  readonly notes: string[] = [];
  readonly store: HubStore;

  private constructor(readonly folder: string) {
    this.store = new HubStore(join(folder, "store"));
  }

  static async start(): Promise<HubFixture> {
    return new HubFixture(await mkdtemp(join(tmpdir(), "cortex-hub-")));
  }

  async stop(): Promise<void> {
    await this.hub.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  connection(options: { token?: string; timeouts?: HubTimeouts } = {}): HubConnection {
    const { token, timeouts } = options;
    return {
      settings: { endpoint: this.hub.url, token },
      clock: this.clock,
      ...(timeouts === undefined ? {} : { timeouts }),
    };
  }

  async pull(
    source: string,
    options: Partial<PullOptions> & { token?: string; projector?: boolean } = {},
  ): Promise<PullResult> {
    const { token, projector = true, ...rest } = options;
    const connection = this.connection(token === undefined ? {} : { token });
    const signal = options.signal ?? new AbortController().signal;
    const plan = await planPull(parseHubSource(source), { connection, projector, signal });
    return await runPull(plan, {
      store: this.store,
      connection,
      signal,
      budgetBytes: 0,
      onNote: (text) => this.notes.push(text),
      freeBytes: () => Promise.resolve(2 ** 50),
      ...rest,
    });
  }
}
