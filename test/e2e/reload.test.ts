import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Status } from "../../src/protocol/status.ts";
import {
  Cluster,
  type CortexProcess,
  chat,
  type NeuronProcess,
  readStream,
  waitUntil,
} from "./processes.ts";

const MODEL = "tiny-a";
const STREAMS = 50;
/** Of all streams together: enough that several reloads come amid them. */
const TOKENS = 300;

let cluster: Cluster;
let neuron: NeuronProcess;
let neuronFile: string;
let gatewayFile: string;

beforeAll(async () => {
  cluster = await Cluster.create();
  neuron = await cluster.addNeuron("one", { toml: "[defaults]\nslots = 4\ncontext = 1024" });
  neuronFile = join(cluster.folder, "one.toml");
  gatewayFile = join(cluster.folder, "cortex.toml");
  await cluster.startGateway({ toml: "[limits]\nqueue_max = 256", models: "" });
});

afterAll(() => cluster.stop());

async function countInFlight(): Promise<number> {
  return ((await (await fetch(`${cluster.url}/admin/status`)).json()) as Status).in_flight;
}

/** Changes a role's file and waits until its log tells of it once more. */
async function change(
  role: CortexProcess,
  options: {
    readonly file: string;
    readonly replace: readonly [RegExp, string];
    readonly by: "signal" | "look";
    readonly says: RegExp;
  },
): Promise<void> {
  const before = role.output.length;
  const text = await Bun.file(options.file).text();
  await Bun.write(options.file, text.replace(...options.replace));
  if (options.by === "signal") role.signal("SIGHUP");
  await waitUntil(() => options.says.test(role.output.slice(before)), {
    what: () => `${options.says} in ${role.output.slice(before)}`,
  });
}

/** Runs the work while all streams are under way, and holds every stream to a whole answer. */
async function amidStreams(work: () => Promise<void>): Promise<void> {
  const body = chat(MODEL, { stream: true, max_tokens: TOKENS, ignore_eos: true });
  const streams = Array.from({ length: STREAMS }, async () =>
    readStream(await cluster.post("/v1/chat/completions", body)),
  );
  await waitUntil(async () => (await countInFlight()) === STREAMS, {
    what: () => `${STREAMS} requests in flight`,
  });
  await work();
  expect(await countInFlight()).toBeGreaterThan(0);
  for (const answer of await Promise.all(streams)) {
    expect(answer).toMatchObject({ done: true, error: undefined });
    expect(answer.content).not.toBe("");
  }
}

describe("with 50 streams under way", () => {
  test("a gateway takes up its files, refuses a wrong one, and drops none", async () => {
    await amidStreams(async () => {
      const { gateway } = cluster;
      const limits = { file: gatewayFile, by: "signal", says: /Configuration applied/ } as const;
      await change(gateway, { ...limits, replace: [/queue_max = 256/, "queue_max = 255"] });
      const refused = /Configuration refused/;
      await change(gateway, {
        ...limits,
        replace: [/queue_max = 255/, "queue_max = -1"],
        says: refused,
      });
      await change(gateway, { ...limits, replace: [/queue_max = -1/, "queue_max = 300"] });
    });
    expect(cluster.gateway.output).toContain("limits.queue_max 256 -> 255");
  });

  test("a neuron takes up its file at its own SIGHUP, and drops none", async () => {
    await amidStreams(async () => {
      const context = { file: neuronFile, by: "signal", says: /Configuration applied/ } as const;
      await change(neuron.process, { ...context, replace: [/context = 1024/, "context = 2048"] });
      await change(neuron.process, { ...context, replace: [/context = 2048/, "context = 1024"] });
    });
    expect(neuron.process.output).toContain("defaults.context 1024 -> 2048");
  });
});

test("a neuron takes up a file that has changed, without a signal", async () => {
  const slots = { file: neuronFile, by: "look", says: /cause="?file changed/ } as const;
  await change(neuron.process, { ...slots, replace: [/slots = 4/, "slots = 3"] });
  expect(neuron.process.output).toContain("defaults.slots 4 -> 3");
});

test("a neuron takes up another token in its file, and refuses the old one", async () => {
  const secret = join(cluster.folder, "token");
  await Bun.write(secret, "first");
  const other = await cluster.addNeuron("two", { toml: `token_file = "${secret}"` });
  const ask = (token: string) =>
    fetch(`${other.url}/models`, { headers: { authorization: `Bearer ${token}` } });
  expect((await ask("first")).status).toBe(200);
  await change(other.process, {
    ...{ file: secret, replace: [/first/, "second"], by: "look" },
    says: /secrets_changed="?neuron\.token_file/,
  });
  expect((await ask("second")).status).toBe(200);
  expect((await ask("first")).status).toBe(401);
});
