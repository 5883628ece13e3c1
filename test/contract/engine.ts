import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type DeviceHandle,
  NativeError,
  type NativeEvent,
  type NativeJob,
  type NativeStatus,
  type SubmitKind,
} from "bun-ffi-cuda-bindings-local/engine";
import type { DeviceThread, EngineHost } from "../../src/neuron/harness/engine-host.ts";

/** An engine under contract. */
export interface EngineSubject {
  readonly host: EngineHost;
  /** A small model that can chat. */
  readonly modelPath: string;
  close?(): Promise<void>;
}

const MODEL = "contract";
const CONTEXT = 256;
const SHAPE = { model: MODEL, context: CONTEXT, slots: 2, threads: 1 };

type Case = (client: Client, subject: EngineSubject) => Promise<void> | void;

/** A real model loads slowly on a busy machine. */
const DEADLINE_MS = 60_000;

/** What the daemon relies on: the same suite for the fake and for the library. Cases run in order on one device. */
export function describeEngineContract(name: string, open: () => Promise<EngineSubject>): void {
  describe(`${name} keeps the engine's contract:`, () => {
    let subject: EngineSubject;
    let client: Client;

    beforeAll(async () => {
      subject = await open();
      client = await Client.open(subject.host);
    }, DEADLINE_MS);

    afterAll(async () => {
      await client.stop();
      await subject.close?.();
    }, DEADLINE_MS);

    for (const [behaviour, run] of Object.entries(CASES)) {
      test(behaviour, () => run(client, subject), DEADLINE_MS);
    }
  });
}

const CASES: Readonly<Record<string, Case>> = {
  "an estimate gives bytes per device and loads nothing": async (client, subject) => {
    const event = await client.job({ op: "estimate", path: subject.modelPath, ...SHAPE });
    const plan = JSON.parse(event.payload);
    expect(plan).toMatchObject({ context: CONTEXT, slots: 2 });
    expect(plan.bytes.weights).toBeGreaterThan(0);
    expect(plan.devices).toEqual([expect.objectContaining({ index: 0 })]);
    expect(plan.devices[0].bytes).toBeGreaterThan(0);
    expect(client.figures().models).toEqual([]);
  },

  "a missing file is a load error": async (client) => {
    const path = "/nowhere/nothing.gguf";
    const event = await client.job({ op: "load", ...SHAPE, path });
    expect([event.kind, event.status]).toEqual(["error", "load"]);
  },

  "an unknown job is an argument error": async (client) => {
    const event = await client.job({ op: "nonsense" });
    expect([event.kind, event.status]).toEqual(["error", "argument"]);
  },

  "a load reports progress, then what it took": async (client, subject) => {
    const events = await client.jobEvents({ op: "load", path: subject.modelPath, ...SHAPE });
    expect(events.slice(0, -1).every((event) => event.kind === "progress")).toBe(true);
    expect(events.length).toBeGreaterThan(1);
    const result = JSON.parse(events.at(-1)?.payload ?? "{}");
    expect(result).toMatchObject({ model: MODEL, context: CONTEXT, slots: 2 });
    expect(result.bytes.weights).toBeGreaterThan(0);
    expect(result.capabilities).toContain("chat");
    const figures = client.figures();
    expect(figures.state).toBe("ok");
    expect(figures.models.map((model) => [model.model, model.state])).toEqual([[MODEL, "ready"]]);
  },

  "the memory job names every device of the loop": async (client) => {
    const { devices } = JSON.parse((await client.job({ op: "memory" })).payload);
    expect(devices[0]).toMatchObject({ index: 0 });
    expect(devices[0].memory_free_bytes).toBeLessThanOrEqual(devices[0].memory_total_bytes);
  },

  "a second load of the same name is a state error": async (client, subject) => {
    await expectStatus(client.load(subject.modelPath), "state");
  },

  "a streamed chat is chunks and one end with figures": async (client) => {
    const events = await client.run("chat", { ...chat("hello"), stream: true, max_tokens: 4 });
    expect(events.length).toBeGreaterThan(1);
    for (const event of events.slice(0, -1)) {
      expect(event.kind).toBe("chunk");
      expect(JSON.parse(event.payload).choices).toBeArray();
    }
    const end = events.at(-1);
    expect(end?.kind).toBe("end");
    expect(JSON.parse(end?.payload ?? "{}").usage.completion_tokens).toBe(4);
  },

  "a stream's first chunk has the prompt's counts where they are asked for": async (client) => {
    const stream_options = { prompt_usage: true };
    const body = { ...chat("hello"), stream: true, max_tokens: 3, stream_options };
    const events = await client.run("chat", body);
    const [first, ...rest] = events.slice(0, -1).map(({ payload }) => JSON.parse(payload));
    const { usage } = JSON.parse(events.at(-1)?.payload ?? "{}");
    expect(first.usage).toEqual({
      ...usage,
      completion_tokens: 0,
      total_tokens: usage.prompt_tokens,
    });
    for (const chunk of rest) expect(chunk.usage).toBeUndefined();
  },

  "a whole answer says why it ended": async (client) => {
    const [event] = await client.run("chat", { ...chat("hello"), max_tokens: 3 });
    const [choice] = JSON.parse(event?.payload ?? "{}").choices;
    expect(choice).toMatchObject({ index: 0, finish_reason: "length", stop_reason: null });
  },

  "a whole chat is one result with the figures beside it": async (client) => {
    const events = await client.run("chat", { ...chat("hello"), max_tokens: 3 });
    expect(events.map((event) => event.kind)).toEqual(["result"]);
    const { cortex, choices, usage } = JSON.parse(events[0]?.payload ?? "{}");
    expect(choices[0].message.role).toBe("assistant");
    expect(usage.completion_tokens).toBe(3);
    expect(cortex.usage).toEqual(usage);
  },

  "tokens are counted without a slot": async (client) => {
    const [event] = await client.run("count_tokens", chat("hello there"));
    expect(JSON.parse(event?.payload ?? "{}").input_tokens).toBeGreaterThan(0);
  },

  "a text is tokenized": async (client) => {
    const [event] = await client.run("tokenize", { content: "hello there" });
    expect(JSON.parse(event?.payload ?? "{}").tokens.length).toBeGreaterThan(0);
  },

  "a prompt longer than the context is refused with both figures": async (client) => {
    const [event] = await client.run("chat", chat("word ".repeat(CONTEXT * 2)));
    expect([event?.kind, event?.status]).toEqual(["error", "context"]);
    const figures = JSON.parse(event?.payload ?? "{}");
    expect(figures.prompt_tokens).toBeGreaterThan(CONTEXT);
    expect(figures.context_tokens).toBe(CONTEXT);
  },

  "a grammar that does not parse is an argument error": async (client) => {
    const [event] = await client.run("chat", { ...chat("hello"), grammar: "nonsense (" });
    expect([event?.kind, event?.status]).toEqual(["error", "argument"]);
  },

  "a cancelled request ends once, as cancelled, and frees its slot": async (client) => {
    const request = client.submit("chat", {
      ...chat("hello"),
      ...{ stream: true, max_tokens: 100_000, ignore_eos: true },
    });
    await client.waitFor(request, (events) => events.length > 0);
    expect(client.cancel(request)).toBe(true);
    const events = await client.ended(request);
    expect([events.at(-1)?.kind, events.at(-1)?.status]).toEqual(["error", "cancelled"]);
    expect(client.cancel(request)).toBe(false);
    await client.waitUntil(() => client.figures().models[0]?.slots_busy === 0);
    expect(client.figures().models[0]?.in_flight).toBe(0);
  },

  "requests beyond the slots wait and are served in turn": async (client) => {
    const requests = Array.from({ length: 5 }, () =>
      client.submit("chat", { ...chat("hello"), stream: true, max_tokens: 3 }),
    );
    for (const request of requests) {
      expect((await client.ended(request)).at(-1)?.kind).toBe("end");
    }
  },

  "a request for a model that is not there is refused at once, without an event": (client) => {
    expect(() => client.submit("chat", chat("hello"), "absent")).toThrow();
  },

  "an unload cancels what runs and says what it freed": async (client) => {
    const request = client.submit("chat", {
      ...chat("hello"),
      ...{ stream: true, max_tokens: 100_000, ignore_eos: true },
    });
    await client.waitFor(request, (events) => events.length > 0);
    const event = await client.job({ op: "unload", model: MODEL });
    expect(JSON.parse(event.payload).freed_bytes).toBeGreaterThan(0);
    expect((await client.ended(request)).at(-1)?.status).toBe("cancelled");
    expect(client.figures().models).toEqual([]);
  },

  "an unloaded model can be loaded again": async (client, subject) => {
    expect((await client.load(subject.modelPath)).kind).toBe("result");
  },

  "a stopped loop ends its thread": async (client) => {
    expect((await client.stop()).state).toBe("stopped");
  },
};

function chat(content: string) {
  return { messages: [{ role: "user", content }], temperature: 0 };
}

async function expectStatus(event: Promise<NativeEvent>, status: NativeStatus): Promise<void> {
  const { kind, status: actual } = await event;
  expect([kind, actual]).toEqual(["error", status]);
}

/** Submits and collects events, as the daemon's pump does. */
class Client {
  readonly #events = new Map<number, NativeEvent[]>();
  readonly #wakers = new Set<() => void>();
  #lastId = 1_000_000;

  private constructor(
    readonly host: EngineHost,
    readonly thread: DeviceThread,
  ) {}

  static async open(host: EngineHost): Promise<Client> {
    const thread = await host.startThread({
      devices: [0],
      name: "cpu0",
      requestsMax: 64,
      stepMs: 200,
      prepareMs: 20_000,
    });
    const client = new Client(host, thread);
    void client.#pump();
    return client;
  }

  get #handle(): DeviceHandle {
    return this.thread.handle;
  }

  submit(kind: SubmitKind, body: object, model = MODEL): number {
    const id = this.#open();
    this.host.engine.submit(this.#handle, id, { kind, model, body: JSON.stringify(body) });
    return id;
  }

  async run(kind: SubmitKind, body: object): Promise<readonly NativeEvent[]> {
    return await this.ended(this.submit(kind, body));
  }

  async jobEvents(job: NativeJob): Promise<readonly NativeEvent[]> {
    const id = this.#open();
    this.host.engine.job(this.#handle, id, job);
    return await this.ended(id);
  }

  /** A call that is refused at once counts as its error event. */
  async job(job: NativeJob): Promise<NativeEvent> {
    try {
      const last = (await this.jobEvents(job)).at(-1);
      if (last === undefined) throw new Error("A job ended without an event");
      return last;
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      return { kind: "error", request: 0, status: error.status, payload: "{}" };
    }
  }

  async load(path: string): Promise<NativeEvent> {
    return await this.job({ op: "load", path, ...SHAPE });
  }

  cancel(request: number): boolean {
    return this.host.engine.cancel(this.#handle, request);
  }

  figures() {
    return this.host.engine.figures(this.#handle);
  }

  async ended(request: number): Promise<readonly NativeEvent[]> {
    return await this.waitFor(request, (events) =>
      ["end", "result", "error"].includes(events.at(-1)?.kind ?? ""),
    );
  }

  async waitFor(
    request: number,
    condition: (events: readonly NativeEvent[]) => boolean,
  ): Promise<readonly NativeEvent[]> {
    const events = this.#events.get(request) ?? [];
    while (!condition(events)) {
      await new Promise<void>((resolve) => this.#wakers.add(resolve));
    }
    return events;
  }

  /** For figures, which change without an event. */
  async waitUntil(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  async stop() {
    try {
      this.host.engine.stopDevice(this.#handle);
    } catch (error) {
      // Stopped before: the handle is gone.
      if (!(error instanceof NativeError)) throw error;
    }
    return await this.thread.ended;
  }

  #open(): number {
    this.#lastId += 1;
    this.#events.set(this.#lastId, []);
    return this.#lastId;
  }

  async #pump(): Promise<void> {
    for await (const _ring of this.host.doorbell) {
      for (const event of this.host.engine.drain()) this.#events.get(event.request)?.push(event);
      for (const wake of [...this.#wakers]) {
        this.#wakers.delete(wake);
        wake();
      }
    }
  }
}
