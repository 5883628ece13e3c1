import type { Status } from "../../src/protocol/status.ts";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** A small stand-in for a gateway's admin routes: records what it was asked and gives the answers it was told. */
export class FakeAdminServer {
  readonly asked: Asked[] = [];
  readonly answers = new Map<string, { readonly status: number; readonly body: unknown }>();
  /** Answers of server-sent events, which end behind the last; by path, or by path and query. */
  readonly streams = new Map<string, string>();
  readonly #server: Bun.Server<undefined>;

  constructor() {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url);
        const text = await request.text();
        const body = text === "" ? undefined : JSON.parse(text);
        this.asked.push({ method: request.method, path: pathname, body });
        const events = this.streams.get(pathname + search) ?? this.streams.get(pathname);
        if (events !== undefined) {
          return new Response(events, { headers: { "content-type": "text/event-stream" } });
        }
        const answer = this.answers.get(pathname);
        // A path without an answer is held open for ever.
        if (answer === undefined) return new Promise<Response>(() => undefined);
        return Response.json(answer.body, { status: answer.status });
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  answer(path: string, body: unknown, status = 200): void {
    this.answers.set(path, { status, body });
  }

  /** The OpenAI envelope of an error, as a gateway sends it. */
  fail(path: string, error: { readonly status: number; readonly code: string; message: string }) {
    const { status, code, message } = error;
    const envelope = { message, type: "server_error", param: null, code, source: "cortex" };
    this.answer(path, { error: envelope }, status);
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}

const GIB = 1024 ** 3;

const NEURON: Status["neurons"][number] = {
  name: "box",
  endpoint: "http://box:13131",
  state: "up",
  version: "0.1.0",
  instance: "i",
  last_seen_ms: 0,
  in_flight: 2,
  devices: [
    {
      index: 0,
      kind: "gpu",
      name: "CUDA0",
      description: "NVIDIA H100",
      compute_capability: "9.0",
      memory_total_bytes: 80 * GIB,
      memory_free_bytes: 60 * GIB,
      state: "ok",
    },
  ],
};

const REPLICA: Status["models"][number]["replicas"][number] = {
  neuron: "box",
  state: "ready",
  devices: [0],
  context: 8192,
  slots: 4,
  slots_busy: 2,
  bytes: { weights: GIB, context: GIB / 2, compute: 0 },
  pinned: true,
  in_flight: 2,
  waiting: 0,
  last_used_ms: 0,
  decode_tokens_per_second: 81.25,
};

const MODEL: Status["models"][number] = {
  id: "smollm2",
  source: "m",
  state: "ready",
  aliases: ["small"],
  priority: 0,
  pinned: false,
  in_flight: 2,
  waiting: 0,
  capabilities: ["chat"],
  context: 8192,
  context_train: 8192,
  architecture: "llama",
  parameters: 134_515_008,
  quantization: "Q4_1",
  file_bytes: 98_362_432,
  replicas: [REPLICA],
};

/** One neuron that is up, one ready model and one on disk; `change` makes something else of it. */
export function sampleStatus(change: Partial<Status> = {}): Status {
  const nowMs = Date.now();
  const absent = { ...REPLICA, state: "absent" as const, in_flight: 0, slots_busy: 0 };
  return {
    version: "0.1.0",
    state: "ok",
    uptime_seconds: 190,
    in_flight: 2,
    waiting: 0,
    loads: 0,
    eviction_strategy: "lru",
    neurons: [{ ...NEURON, last_seen_ms: nowMs - 190_000 }],
    models: [
      { ...MODEL, replicas: [{ ...REPLICA, last_used_ms: nowMs - 310_000 }] },
      { ...MODEL, id: "other", state: "absent", in_flight: 0, replicas: [absent] },
    ],
    ...change,
  };
}
