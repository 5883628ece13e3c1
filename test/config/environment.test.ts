import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadGatewayConfig } from "../../src/config/load-gateway-config.ts";
import { loadNeuronConfig } from "../../src/config/load-neuron-config.ts";
import { errorLines, withFiles } from "./config-text.ts";

const NOWHERE = "/nonexistent";

test("a variable wins over the file, and a flag over both", async () => {
  await withFiles({ "cortex.toml": "[limits]\nqueue_max = 3\n" }, async (folder) => {
    const env = { CORTEX_LIMITS__QUEUE_MAX: "4", CORTEX_GATEWAY__LISTEN: "127.0.0.1:1" };
    const { config, document } = await loadGatewayConfig({ folder, env });
    expect([config.limits.queue_max, config.gateway.listen]).toEqual([4, "127.0.0.1:1"]);
    expect(document.findOrigin(["limits", "queue_max"])).toBe("CORTEX_LIMITS__QUEUE_MAX");
    expect(document.findOrigin(["gateway", "metrics_listen"])).toBeUndefined();
    const overrides = [{ path: ["limits", "queue_max"], value: 5, origin: "--queue-max" }];
    const flagged = await loadGatewayConfig({ folder, env, overrides });
    expect(flagged.config.limits.queue_max).toBe(5);
    expect(flagged.document.findOrigin(["limits", "queue_max"])).toBe("--queue-max");
  });
});

test("the origin of a file's value is its line", async () => {
  await withFiles({ "cortex.toml": "[limits]\nqueue_max = 3\n" }, async (folder) => {
    const { document, file } = await loadGatewayConfig({ folder, env: {} });
    expect(document.findOrigin(["limits", "queue_max"])).toBe(`${file}:2`);
  });
});

test("the schema says what a variable's text is", async () => {
  const { config } = await loadNeuronConfig({
    folder: NOWHERE,
    env: {
      CORTEX_MEMORY__OFFLOAD: "false",
      CORTEX_DEFAULTS__GPU_LAYERS: "-1",
      CORTEX_SUPPLY__OWNERS: "ggml-org, unsloth",
      CORTEX_DEVICES__RPC: '["10.0.0.7:13140"]',
      CORTEX_NEURON__MODELS_DIR: "/123",
      CORTEX_NEURON__LOG_LEVEL: "",
    },
  });
  expect(config.memory.offload).toBe(false);
  expect(config.defaults.gpu_layers).toBe(-1);
  expect(config.supply.owners).toEqual(["ggml-org", "unsloth"]);
  expect(config.devices.rpc).toEqual(["10.0.0.7:13140"]);
  expect(config.neuron.models_dir).toBe("/123");
  expect(config.neuron.log_level).toBe("info");
});

test("errors name the variable", async () => {
  const env = {
    CORTEX_LIMITS__QUEUE_MAX: "many",
    CORTEX_GATEWAY__LISEN: "0.0.0.0:1",
    CORTEX_GATWAY__LISTEN: "0.0.0.0:1",
    CORTEX_NEURONS__0__NAME: "box",
    CORTEX_NEURON_TOKEN: "no key of a table",
  };
  expect(await errorLines(loadGatewayConfig({ folder: NOWHERE, env }), "/-")).toEqual([
    "built-in defaults has 4 errors",
    "CORTEX_GATEWAY__LISEN: gateway.lisen is not a key of cortex; did you mean listen?",
    'CORTEX_LIMITS__QUEUE_MAX: limits.queue_max is "many", but must be a whole number from 1 to 100000',
    "CORTEX_GATWAY__LISTEN: cortex has no table gatway; did you mean CORTEX_GATEWAY__LISTEN?",
    "CORTEX_NEURONS__0__NAME: neurons is a list of tables, which only the file can have",
  ]);
});

test("a table that only a wrong variable names is not blamed on the file", async () => {
  await withFiles({ "neuron.toml": "[neuron]\n" }, async (folder) => {
    const file = join(folder, "neuron.toml");
    const env = { CORTEX_KV__KEEP_MIB__DEEP: "1" };
    const [, line] = await errorLines(loadNeuronConfig({ file, env }), folder);
    expect(line).toStartWith("CORTEX_KV__KEEP_MIB__DEEP: kv.keep_mib is ");
  });
});

test("what sets a key of the other daemon is left to that", async () => {
  const env = { CORTEX_LIMITS__QUEUE_MAX: "7", CORTEX_DEFAULTS__SLOTS: "7" };
  const gateway = await loadGatewayConfig({ folder: NOWHERE, env });
  expect(gateway.config.limits.queue_max).toBe(7);
  const neuron = await loadNeuronConfig({ folder: NOWHERE, env });
  expect(neuron.config.defaults.slots).toBe(7);
});
