import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, chat, type NeuronProcess, postJson, readStream } from "./processes.ts";

const MODEL = "smollm2-135m-instruct";
/** How many events the client has when its neuron dies: at the beginning, within, near the end. */
const CUTS = [20, 45, 80];

let cluster: Cluster;
let neurons: NeuronProcess[];

beforeAll(async () => {
  cluster = await Cluster.create();
  const toml = "[defaults]\nslots = 1\ncontext = 2048";
  neurons = [await cluster.addNeuron("one", { toml }), await cluster.addNeuron("two", { toml })];
  for (const neuron of neurons) {
    expect((await neuron.post("/models/load", { model: MODEL })).status).toBe(200);
  }
  const source = (await neurons[0]?.model(MODEL))?.id;
  const models = `[[models]]\nid = "${MODEL}"\nsource = "${source}"\nresume = true\n`;
  await cluster.startGateway({ models });
}, 60_000);

afterAll(() => cluster.stop());

/** An answer of which no token is nearly another one: how a prompt is cut into batches must not tell. */
function ask() {
  return chat(MODEL, { max_tokens: 120, stream: true, stream_options: { include_usage: true } });
}

/** The neuron that answers the one request there is. */
async function findBusy(): Promise<NeuronProcess> {
  for (const neuron of neurons) if ((await neuron.model(MODEL)).in_flight > 0) return neuron;
  throw new Error("No neuron is busy");
}

for (const cut of CUTS) {
  test(`the text is the same whether or not its neuron is killed after ${cut} events`, async () => {
    const path = "/v1/chat/completions";
    const whole = await readStream(await postJson(`${neurons[1]?.url}${path}`, ask()));
    const response = await cluster.post(path, ask());
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let text = "";
    const readMore = async () => {
      const piece = await reader?.read();
      text += decoder.decode(piece?.value, { stream: true });
      return piece?.done === false;
    };
    while (text.split("data: ").length < cut) {
      if (!(await readMore())) throw new Error(`Ended early: ${text}`);
    }
    const busy = await findBusy();
    await busy.process.end("SIGKILL");
    while (await readMore());
    const resumed = await readStream(new Response(text));
    expect(resumed.error).toBeUndefined();
    expect(resumed.done).toBe(true);
    expect(resumed.content).toBe(whole.content);
    const { prompt_tokens, completion_tokens, total_tokens } = whole.usage ?? {};
    expect(resumed.usage).toMatchObject({ prompt_tokens, completion_tokens, total_tokens });
    await busy.start();
    expect((await busy.post("/models/load", { model: MODEL })).status).toBe(200);
  }, 120_000);
}
