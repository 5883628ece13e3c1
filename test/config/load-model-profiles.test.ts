import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadModelProfiles } from "../../src/config/load-model-profiles.ts";
import { errorLines, withFiles } from "./config-text.ts";

test("models.toml is read beside cortex.toml, with defaults filled in", async () => {
  await withFiles({ "models.toml": '[[models]]\nid = "m"\n' }, async (folder) => {
    const configFile = join(folder, "cortex.toml");
    const { profiles, file } = await loadModelProfiles({ configFile, neuronNames: [] });
    expect(file).toBe(join(folder, "models.toml"));
    expect(profiles.models).toEqual([
      {
        ...{ id: "m", aliases: [], priority: 0, pinned: false },
        ...{ replicas_min: 0, keep_kv: false, resume: false },
      },
    ]);
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

test("replicas, neurons, drafts and places that contradict each other are refused", async () => {
  const text = `[[models]]
id = "m"
replicas_min = 3
replicas_max = 2
neurons = ["a", "b", "b"]
[[models]]
id = "n"
source = "m"
neurons = ["b"]
[[models]]
id = "o"
source = "file"
draft = "file"
[[models]]
id = "p"
draft = "o"
split_mode = "rows"
`;
  await withFiles({ "models.toml": text.replace("rows", "row") }, async (folder) => {
    const file = join(folder, "models.toml");
    const load = loadModelProfiles({ file, neuronNames: ["a", "b"] });
    expect(await errorLines(load, folder)).toEqual([
      "models.toml has 5 errors",
      "models.toml:3:16: models[0].replicas_min is 3, but must be at most replicas_max, which is 2",
      'models.toml:5:22: models[0].neurons[2] is "b" for a second time',
      'models.toml:8:10: models[1].source is "m", which the model "m" has on the same neurons;' +
        " give that one an alias, or each its own neurons",
      'models.toml:13:9: models[2].draft is "file", the model itself',
      'models.toml:16:9: models[3].draft is "o", but neurons call it "file"',
    ]);
  });
  await withFiles({ "models.toml": text }, async (folder) => {
    const load = loadModelProfiles({ file: join(folder, "models.toml"), neuronNames: ["a", "b"] });
    expect(await errorLines(load, folder)).toEqual([
      "models.toml has 1 error",
      'models.toml:17:14: models[3].split_mode is "rows", but must be "layer" or "row" or "tensor"' +
        ' or "none"; did you mean "row"?',
    ]);
  });
});

test("fewer neurons than replicas_min are refused, the same source on other neurons is not", async () => {
  const text = `[[models]]
id = "m"
neurons = ["a"]
[[models]]
id = "n"
source = "m"
replicas_min = 2
neurons = ["b"]
`;
  await withFiles({ "models.toml": text }, async (folder) => {
    const load = loadModelProfiles({ file: join(folder, "models.toml"), neuronNames: ["a", "b"] });
    expect(await errorLines(load, folder)).toEqual([
      "models.toml has 1 error",
      "models.toml:7:16: models[1].replicas_min is 2, but its neurons are 1",
    ]);
  });
});
