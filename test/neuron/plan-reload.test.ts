import { expect, test } from "bun:test";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { loadNeuronConfig } from "../../src/config/load-neuron-config.ts";
import { type NeuronConfig, NeuronConfigSchema } from "../../src/config/neuron-schema.ts";
import { planReload } from "../../src/neuron/plan-reload.ts";
import { withFiles } from "../config/config-text.ts";
import { NeuronFixture } from "./fixture.ts";

async function configOf(text: string) {
  return withFiles({ "neuron.toml": text }, async (folder) => {
    const { config } = await loadNeuronConfig({ file: join(folder, "neuron.toml"), env: {} });
    return config;
  });
}

test("what loads are planned by holds at once, the rest is named and stays as it was", async () => {
  const running = await configOf("");
  const wanted = await configOf(`
[neuron]
listen = "127.0.0.1:1"
log_level = "debug"
[memory]
margin_mib = 7
[defaults]
context = 4096
queue_max = 9
[devices]
rpc = ["10.0.0.7:1"]
[[models]]
id = "m"
slots = 2
`);
  const { config, change } = planReload(running, wanted);
  expect(change).toEqual({
    settings:
      'neuron.log_level "info" -> "debug", memory.margin_mib 512 -> 7, ' +
      "defaults.context 8192 -> 4096, models",
    needs_restart: "neuron.listen, devices.rpc, defaults.queue_max",
  });
  expect(config.models).toEqual(wanted.models);
  expect(config.memory).toEqual(wanted.memory);
  expect(config.defaults).toEqual({ ...wanted.defaults, queue_max: 256 });
  expect(config.neuron).toEqual({ ...running.neuron, log_level: "debug" });
  expect(config.devices).toEqual(running.devices);
});

test("the same configuration changes nothing", async () => {
  const running = await configOf('[[models]]\nid = "m"\n');
  expect(planReload(running, await configOf('[[models]]\nid = "m"\n')).change).toEqual({});
});

test("a load after a reload takes the new defaults, and what is loaded stays as it is", async () => {
  const fixture = await NeuronFixture.start();
  try {
    expect((await fixture.load("alpha")).status).toBe(200);
    const wanted = Value.Default(NeuronConfigSchema, {
      memory: { margin_mib: 0 },
      defaults: { context: 50, slots: 1 },
      models: [{ id: "beta", slots: 3 }],
    }) as NeuronConfig;
    expect(fixture.neuron.reload(wanted).settings).toContain("defaults.context 100 -> 50");
    expect((await fixture.load("beta")).status).toBe(200);
    expect(await fixture.model("alpha")).toMatchObject({ context: 100, slots: 2 });
    expect(await fixture.model("beta")).toMatchObject({ context: 50, slots: 3 });
  } finally {
    await fixture.stop();
  }
});
