/**
 * Many neurons at rest in one process: `bun simulated-neurons.ts <first port> <neurons> <models>`. Each has a port, an
 * event stream with heartbeats, a device whose free memory changes now and then, and a list of models with its tag. Two
 * thirds of the models are the same everywhere; four are loaded.
 */
import { SSE_HEADERS } from "../../../src/base/sse.ts";
import { EventLog } from "../../../src/neuron/events/event-log.ts";
import { taggedJson } from "../../../src/neuron/http/tagged-json.ts";
import { HEARTBEAT_MS, type NeuronEvent } from "../../../src/protocol/events.ts";
import type { Device, Health } from "../../../src/protocol/health.ts";
import type { Model } from "../../../src/protocol/models.ts";

const GIB = 1024 ** 3;
const LOADED = 4;
/** Heartbeats after which the device tells of its memory. */
const DEVICE_BEATS = 2;

const [firstPort = 0, neurons = 0, models = 0] = process.argv.slice(2).map(Number);
for (let index = 0; index < neurons; index += 1) serveNeuron(index, firstPort + index);
process.stdout.write("neurons listen\n");

function serveNeuron(index: number, port: number): void {
  const list = Array.from({ length: models }, (_, place) => makeModel(index, place));
  const log = new EventLog();
  const readers = new Set<ReadableStreamDefaultController<string>>();
  const device: Device = {
    ...{ index: 0, kind: "gpu", name: "CUDA0", compute_capability: "9.0", state: "ok" },
    ...{ memory_total_bytes: 80 * GIB, memory_free_bytes: 20 * GIB },
  };
  const health = (): Health => ({
    ...{ state: "ok", protocol: 1, version: "0.1.0", instance: `instance-${index}` },
    devices: [device],
  });
  const tell = (event: NeuronEvent) => {
    log.append(event);
    const text = log.textAfter(log.last - 1) ?? "";
    for (const reader of readers) reader.enqueue(text);
  };
  let beats = 0;
  const beat = () => {
    beats += 1;
    tell({ type: "heartbeat" });
    if (beats % DEVICE_BEATS !== 0) return;
    device.memory_free_bytes -= 4096;
    tell({ type: "device", device });
  };
  // Neurons start at different times.
  setTimeout(() => setInterval(beat, HEARTBEAT_MS), (index * 997) % HEARTBEAT_MS);
  Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: 0,
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/health") return Response.json(health());
      if (pathname === "/models") return taggedJson(request, { models: list });
      if (pathname !== "/events") return new Response("{}", { status: 404 });
      let mine: ReadableStreamDefaultController<string> | undefined;
      const stream = new ReadableStream<string>({
        start: (controller) => {
          mine = controller;
          readers.add(controller);
          const snapshot = { type: "snapshot", health: health(), models: list };
          const id = log.idOf(log.last);
          controller.enqueue(`id: ${id}\nevent: snapshot\ndata: ${JSON.stringify(snapshot)}\n\n`);
        },
        cancel: () => {
          if (mine !== undefined) readers.delete(mine);
        },
      });
      return new Response(stream, { headers: SSE_HEADERS });
    },
  });
}

function makeModel(neuron: number, place: number): Model {
  const isShared = place < (models * 2) / 3;
  return {
    id: isShared ? `shared-model-${place}-instruct-q4_k_m` : `own-model-${neuron}-${place}`,
    aliases: isShared ? [`shared-${place}`] : [],
    state: place % Math.ceil(models / LOADED) === 0 ? "ready" : "absent",
    devices: [0],
    ...{ context: 8192, slots: 4, bytes: { weights: 4 * GIB, context: GIB, compute: GIB / 2 } },
    ...{ pinned: false, in_flight: 0, queued: 0, slots_busy: 0, last_used_ms: 1_700_000_000_000 },
    ...{ load_seconds: 4, prefill_tokens_per_second: 5_000, decode_tokens_per_second: 100 },
    ...{ prompt_tokens: 0, cached_prompt_tokens: 0, completion_tokens: 0 },
    capabilities: ["chat", "completion", "tools"],
    digest: `sha256:${"0".repeat(56)}${place}`,
    ...{ file_bytes: 4 * GIB, architecture: "llama", parameters: 7e9 },
    ...{ quantization: "Q4_K_M", context_train: 131_072 },
  };
}
