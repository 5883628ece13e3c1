import { expect, test } from "bun:test";
import { homedir } from "node:os";
import { join } from "node:path";
import { loadNeuronConfig } from "../../src/config/load-neuron-config.ts";
import { errorLines, withFiles } from "./config-text.ts";

test("without a file a neuron has working defaults and an absolute models folder", async () => {
  const { config, file } = await loadNeuronConfig({ folder: "/nonexistent" });
  expect(file).toBeUndefined();
  expect(config.neuron.listen).toBe("0.0.0.0:13131");
  expect(config.neuron.models_dir).toBe(join(homedir(), ".local/share/cortex/models"));
  expect(config.defaults.slots).toBe(4);
  expect(Object.isFrozen(config.neuron)).toBe(true);
});

test("flags are checked like the file and win over it", async () => {
  await withFiles({ "neuron.toml": "[memory]\nlimit_mib = 7\n" }, async (folder) => {
    const limit = (value: number) => ({
      folder,
      overrides: [{ path: ["memory", "limit_mib"], value, origin: "--memory-limit-mib" }],
    });
    expect((await loadNeuronConfig(limit(9))).config.memory.limit_mib).toBe(9);
    expect((await errorLines(loadNeuronConfig(limit(-1)), folder))[1]).toBe(
      "--memory-limit-mib: memory.limit_mib is -1, but must be a whole number from 0 to 1073741824",
    );
  });
});

test("a token variable that is not set is an error", async () => {
  await withFiles({ "neuron.toml": '[neuron]\ntoken_env = "T"\n' }, async (folder) => {
    const lines = await errorLines(loadNeuronConfig({ folder, env: {} }), folder);
    expect(lines[1]).toBe(
      "neuron.toml:2:13: neuron.token_env names the variable T, which is not set",
    );
  });
});
