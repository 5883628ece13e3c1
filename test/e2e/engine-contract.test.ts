import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import { openNativeHost } from "../../src/neuron/harness/native-host.ts";
import { describeEngineContract } from "../contract/engine.ts";
import { MODELS_DIR } from "./processes.ts";

/** A process has one drainer of events, so this cannot share one with the tests of the bare library. */
describeEngineContract("The native engine", async () => ({
  host: openNativeHost(join(import.meta.dir, "../../cuda/lib/libneuron_cpu.so"), {
    log: silentLog,
    logLevel: "error",
    testFaults: true,
  }),
  modelPath: join(MODELS_DIR, "tiny-a.gguf"),
}));
