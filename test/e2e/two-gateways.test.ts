import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeTinyModel } from "../../scripts/make-tiny-model.ts";
import { SseReader } from "../../src/base/sse.ts";
import type { NeuronEvent } from "../../src/protocol/events.ts";
import type { Model } from "../../src/protocol/models.ts";
import type { Status } from "../../src/protocol/status.ts";
import {
  CortexProcess,
  chat,
  findFreePort,
  NeuronProcess,
  postJson,
  readStream,
  waitUntil,
} from "./processes.ts";

/** Three neurons hold one of these each. */
const MODELS = ["one", "two", "three", "four", "five"] as const;
const SHAPE = "[defaults]\nslots = 2\ncontext = 2048\nqueue_max = 256";
const CLIENTS = 50;
const REQUESTS_OF_CLIENT = 4;

/** Which state of a model may follow which: nothing is loaded that is there, or on its way. */
const NEXT: Partial<Record<Model["state"], readonly Model["state"][]>> = {
  absent: ["loading"],
  loading: ["ready", "absent"],
  ready: ["draining"],
  draining: ["absent", "ready"],
};

/** A gateway of its own, with the neurons for all it shares with the other. */
interface Gateway {
  readonly url: string;
  readonly process: CortexProcess;
}

/** What a neuron told of its models, in order. */
interface Observed {
  readonly states: { model: string; state: Model["state"]; holders: readonly string[] }[];
  /** Hashes of cached beginnings of prompts. */
  readonly prefixes: string[];
  readonly leave: () => void;
}

let folder: string;
const neurons: NeuronProcess[] = [];
const gateways: Gateway[] = [];
const killed = new Set<Gateway>();
const observed: Observed[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-two-gateways-"));
  for (const [index, model] of MODELS.entries()) {
    await makeTinyModel(join(folder, "models", `${model}.gguf`), { seed: index + 1 });
  }
  const limitMib = await limitForOne();
  const toml = `[memory]\nmargin_mib = 0\nlimit_mib = ${limitMib}\n${SHAPE}`;
  for (const name of ["a", "b", "c"]) neurons.push(await startNeuron(name, toml));
  for (const neuron of neurons) observed.push(await observe(neuron));
  for (const name of ["east", "west"]) gateways.push(await startGateway(name));
}, 60_000);

afterAll(async () => {
  for (const { leave } of observed) leave();
  for (const { process } of gateways) await process.end("SIGKILL");
  for (const neuron of neurons) await neuron.process.end("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

async function startNeuron(name: string, toml: string): Promise<NeuronProcess> {
  const modelsDir = join(folder, "models");
  const neuron = new NeuronProcess(name, { folder, toml, modelsDir });
  await neuron.start();
  return neuron;
}

/** Asks an unlimited neuron what one model takes and allows one and a half. */
async function limitForOne(): Promise<number> {
  const scout = await startNeuron("scout", SHAPE);
  const plan = (await (await scout.post("/models/plan", { model: "one" })).json()) as Model;
  await scout.process.end("SIGKILL");
  const { weights = 0, context = 0, compute = 0 } = plan.bytes ?? {};
  return Math.ceil(((weights + context + compute) * 1.5) / 1024 / 1024);
}

async function startGateway(name: string): Promise<Gateway> {
  const [port, metricsPort] = [findFreePort(), findFreePort()];
  const path = join(folder, `gateway-${name}.toml`);
  const entries = neurons.map((neuron) => `name = "${neuron.name}"\nendpoint = "${neuron.url}"\n`);
  await Bun.write(
    path,
    `[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${metricsPort}"\n` +
      `[limits]\ngroup_seconds_max = 1\n` +
      entries.map((entry) => `[[neurons]]\n${entry}`).join("\n"),
  );
  const process = new CortexProcess(["gateway", "--config", path]);
  const gateway = { url: `http://127.0.0.1:${port}`, process };
  await waitUntil(async () => (await countModels(gateway)) === MODELS.length, {
    what: () => `a gateway with all models, it printed:\n${process.output}`,
  });
  return gateway;
}

async function countModels({ url }: Gateway): Promise<number> {
  try {
    const response = await fetch(`${url}/v1/models`);
    return ((await response.json()) as { data: unknown[] }).data.length;
  } catch {
    // Nobody listens yet.
    return 0;
  }
}

/** Follows a neuron's events as a third gateway would. */
async function observe(neuron: NeuronProcess): Promise<Observed> {
  const abort = new AbortController();
  const response = await fetch(`${neuron.url}/events`, { signal: abort.signal });
  const states: Observed["states"] = [];
  const prefixes: string[] = [];
  const read = async () => {
    const reader = new SseReader();
    const decoder = new TextDecoder();
    for await (const piece of response.body ?? []) {
      for (const { data } of reader.push(decoder.decode(piece, { stream: true }))) {
        const event = JSON.parse(data) as NeuronEvent;
        if (event.type === "prefixes") {
          for (const { added } of event.changes) prefixes.push(...added);
        }
        if (event.type !== "model") continue;
        const { id, state, leases = [] } = event.model;
        if (states.findLast(({ model }) => model === id)?.state === state) continue;
        states.push({ model: id, state, holders: leases.map(({ holder }) => holder) });
      }
    }
  };
  // It ends with the test.
  read().catch(() => undefined);
  return { states, prefixes, leave: () => abort.abort() };
}

/** One request; when its gateway dies the client turns to the other one. */
async function ask(model: string, first: number): Promise<void> {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const gateway = gateways[(first + attempt) % 2];
    if (gateway === undefined || killed.has(gateway)) continue;
    try {
      const response = await postJson(
        `${gateway.url}/v1/chat/completions`,
        chat(model, { stream: true, max_tokens: 12, ignore_eos: true }),
      );
      const stream = await readStream(response);
      if (response.status === 200 && stream.done && stream.error === undefined) return;
      throw new Error(`${model}: ${response.status} ${stream.text.slice(-500)}`);
    } catch (thrown) {
      if (attempt === 1 || !killed.has(gateway)) throw thrown;
    }
  }
  throw new Error(`${model}: no gateway is left`);
}

/** The states of a model's replicas as a gateway knows them. */
async function statesAt(gateway: Gateway | undefined, model: string): Promise<string[]> {
  const status = (await (await fetch(`${gateway?.url}/admin/status`)).json()) as Status;
  const replicas = status.models.find(({ id }) => id === model)?.replicas ?? [];
  return replicas.map(({ state }) => state);
}

async function listModels(neuron: NeuronProcess): Promise<Model[]> {
  return ((await (await neuron.get("/models")).json()) as { models: Model[] }).models;
}

/** Who leases something at any neuron. */
async function holders(): Promise<string[]> {
  const lists = await Promise.all(neurons.map(listModels));
  return lists.flat().flatMap(({ leases = [] }) => leases.map(({ holder }) => holder));
}

/** Whom each unload of a model was for, in the order in which they ended. */
function unloadsOf(neuron: NeuronProcess, model: string): string[] {
  const lines = neuron.process.output.split("\n");
  return lines
    .filter((line) => line.includes(`Model unloaded model=${model} `))
    .map((line) => / by=(\S+)/.exec(line)?.[1] ?? "nobody");
}

test("a gateway learns from a neuron which prompts of the other's clients it has cached", async () => {
  const [east, west] = gateways;
  const [a, b] = neurons;
  const [, follower] = observed;
  // A kilobyte that both prompts begin with; the model knows few words, so a letter is about a token.
  const content = Array.from({ length: 180 }, (_, index) => `${index} fish`).join(" ");
  const messages = [{ role: "user", content: content.slice(0, 1_400) }];
  expect((await b?.post("/models/load", { model: "one" }))?.status).toBe(200);
  const askAt = async (gateway: Gateway | undefined, more: readonly object[]) => {
    const body = { ...chat("one"), messages: [...messages, ...more] };
    const response = await postJson(`${gateway?.url}/v1/chat/completions`, body);
    expect(await response.text()).toContain("chat.completion");
    return response.headers.get("x-cortex-route");
  };
  expect(await askAt(east, [])).toBe("neuron=b; reason=only");
  expect((await a?.post("/models/load", { model: "one" }))?.status).toBe(200);
  await waitUntil(() => (follower?.prefixes.length ?? 0) > 0, { what: () => "cached prefixes" });
  const isReady = (state: string) => state === "ready";
  await waitUntil(async () => (await statesAt(west, "one")).filter(isReady).length === 2, {
    what: () => "both replicas at the other gateway",
  });
  const next = [
    { role: "assistant", content: "Yes." },
    { role: "user", content: "And now?" },
  ];
  expect(await askAt(west, next)).toBe("neuron=b; reason=prefix");
}, 60_000);

test("50 clients of two gateways all get their answers, though one gateway is killed", async () => {
  const [, west] = gateways;
  if (west === undefined) throw new Error("No second gateway");
  let answered = 0;
  const client = async (index: number) => {
    for (let round = 0; round < REQUESTS_OF_CLIENT; round += 1) {
      const model = MODELS[(index * 7 + round * 3) % MODELS.length] ?? "";
      await ask(model, index % 2);
      answered += 1;
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));
  const isDead = (holder: string) => holder.includes(`:${west.process.pid}:`);
  await waitUntil(async () => answered >= CLIENTS && (await holders()).some(isDead), {
    what: () => `a lease of the gateway that dies, with ${answered} answers`,
  });
  killed.add(west);
  await west.process.end("SIGKILL");
  expect(answered).toBeLessThan(CLIENTS * REQUESTS_OF_CLIENT);
  await clients;
  expect(answered).toBe(CLIENTS * REQUESTS_OF_CLIENT);
  // Nothing is left of the dead one, and what the living one leased it gave back.
  await waitUntil(async () => (await holders()).length === 0, { what: () => "no more leases" });
}, 120_000);

test("no model was loaded twice on a neuron, or taken from those who waited for it", () => {
  let evictions = 0;
  for (const [index, neuron] of neurons.entries()) {
    const states = observed[index]?.states ?? [];
    for (const model of MODELS) {
      const mine = states.filter((each) => each.model === model);
      const log = neuron.process.output;
      const loads = log.split("\n").filter((line) => line.includes(`Model loaded model=${model} `));
      // A load that was given up is told, too; two at once would show below, for nothing loads that loads.
      const begun = mine.filter(({ state }) => state === "loading").length;
      expect(begun).toBeGreaterThanOrEqual(loads.length);
      for (const [at, { state }] of mine.entries()) {
        expect(NEXT[mine[at - 1]?.state ?? "absent"]).toContain(state);
      }
      const gone = mine.filter(
        ({ state }, at) => state === "draining" && mine[at + 1]?.state === "absent",
      );
      const by = unloadsOf(neuron, model);
      expect(by.length).toBe(gone.length);
      evictions += gone.length;
      for (const [at, { holders: held }] of gone.entries()) {
        expect(held.filter((holder) => holder !== by[at])).toEqual([]);
      }
    }
  }
  expect(evictions).toBeGreaterThan(0);
});

test("counters are at rest in the end, in the neurons and in the gateway that lives", async () => {
  for (const neuron of neurons) {
    for (const model of await listModels(neuron)) {
      const { in_flight, queued, slots_busy, leases } = model;
      expect([in_flight, queued, slots_busy, leases]).toEqual([0, 0, 0, undefined]);
    }
  }
  const status = (await (await fetch(`${gateways[0]?.url}/admin/status`)).json()) as Status;
  expect([status.in_flight, status.waiting, status.loads]).toEqual([0, 0, 0]);
});
