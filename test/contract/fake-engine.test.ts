import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeEngine } from "../fakes/fake-engine.ts";
import { describeEngineContract } from "./engine.ts";

describeEngineContract("The fake engine", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cortex-contract-"));
  const modelPath = join(folder, "contract.gguf");
  await Bun.write(modelPath, "any content");
  return {
    host: new FakeEngine(),
    modelPath,
    close: () => rm(folder, { recursive: true, force: true }),
  };
});
