import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadModelProfiles } from "../../src/config/load-model-profiles.ts";
import { errorLines, withFiles } from "./config-text.ts";

test("models.toml is read beside cortex.toml, with defaults filled in", async () => {
  await withFiles({ "models.toml": '[[models]]\nid = "m"\n' }, async (folder) => {
    const configFile = join(folder, "cortex.toml");
    const { profiles, file } = await loadModelProfiles({ configFile, neuronNames: [] });
    expect(file).toBe(join(folder, "models.toml"));
    expect(profiles.models).toEqual([{ id: "m", aliases: [], priority: 0, pinned: false }]);
  });
});

test("without models.toml there are no profiles", async () => {
  const { profiles } = await loadModelProfiles({ configFile: "/nonexistent/x", neuronNames: [] });
  expect(profiles.models).toEqual([]);
});

test("a name for two models and an unknown neuron are refused", async () => {
  const text = `[[models]]
id = "m"
aliases = ["small", "other"]
neurons = ["workstatoin"]
[[models]]
id = "other"
[[models]]
id = "m"
`;
  await withFiles({ "models.toml": text }, async (folder) => {
    const file = join(folder, "models.toml");
    const load = loadModelProfiles({ file, neuronNames: ["workstation"] });
    expect(await errorLines(load, folder)).toEqual([
      "models.toml has 3 errors",
      'models.toml:3:21: models[0].aliases[1] is "other", which names the model "other" already',
      'models.toml:4:12: models[0].neurons[0] is "workstatoin", which is no neuron of cortex.toml;' +
        " did you mean workstation?",
      'models.toml:8:6: models[2].id is "m", which names the model "m" already',
    ]);
  });
});
