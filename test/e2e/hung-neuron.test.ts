import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  Cluster,
  chat,
  loadModel,
  type NeuronProcess,
  readStream,
  waitUntil,
} from "./processes.ts";

const MODEL = "smollm2-135m-instruct";
const PATH = "/v1/chat/completions";
/** Longer than it takes to stop the neuron. */
const STILL_MS = 3_000;

let cluster: Cluster;
let hung: NeuronProcess;

beforeAll(async () => {
  cluster = await Cluster.create();
  const toml = "[defaults]\nslots = 2\ncontext = 1024";
  hung = await cluster.addNeuron("one", { toml });
  await cluster.addNeuron("two", { toml });
  // There alone, so that there is no choice until it stops.
  await loadModel(hung.url, MODEL);
  const { id } = await hung.model(MODEL);
  const models = `[[models]]\nid = "${MODEL}"\nsource = "${id}"\nresume = true\n`;
  await cluster.startGateway({ models });
  await cluster.untilReady(hung.name, [MODEL]);
}, 60_000);

afterAll(() => cluster.stop());

const inFlight = async () => (await hung.model(MODEL)).in_flight;

test("what was asked of a neuron that stops for good is answered elsewhere, resumed, or ends with an error", async () => {
  const long = { stream: true, ignore_eos: true, max_tokens: 200 };
  const resumed = await cluster.post(PATH, chat(MODEL, long));
  // An answer with logprobs cannot be taken up elsewhere.
  const cut = await cluster.post(PATH, chat(MODEL, { ...long, logprobs: true }));
  // Its device stands still for a moment, so that none of them ends before the process does.
  const fault = { model: MODEL, phase: "decode", after: 1, kind: "hang", ms: STILL_MS };
  expect((await hung.post("/test/fault", fault)).status).toBe(200);
  const whole = cluster.post(PATH, chat(MODEL));
  await waitUntil(async () => (await inFlight()) === 3, { what: () => "three requests there" });
  hung.process.signal("SIGSTOP");

  const [answered, wentOn, ended] = await Promise.all([
    whole,
    readStream(resumed),
    readStream(cut),
  ]);
  expect(answered.status).toBe(200);
  expect(answered.headers.get("x-cortex-route")).toContain("neuron=two");
  expect([wentOn.error, wentOn.done]).toEqual([undefined, true]);
  expect([ended.error?.code, ended.done]).toEqual(["neuron_failed", false]);
  expect(cluster.gateway.output).toContain("Requests gave a neuron up");

  hung.process.signal("SIGCONT");
  await waitUntil(async () => (await inFlight()) === 0, { what: () => "its slots to be free" });
}, 120_000);
