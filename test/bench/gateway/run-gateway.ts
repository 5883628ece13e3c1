/**
 * The gateway from source, for measuring without a compiled executable: `bun run-gateway.ts <port>
 * <neuron port>`.
 */
import { createLog } from "../../../src/base/log.ts";
import { startGateway } from "../../../src/gateway/start.ts";

const port = Number(process.argv[2] ?? 4603);
const neuronPort = Number(process.argv[3] ?? 4601);
const gateway = await startGateway({
  config: {
    gateway: {
      listen: `127.0.0.1:${port}`,
      metrics_listen: `127.0.0.1:${port + 100}`,
      body_bytes_max: 64 * 1024 * 1024,
      log_level: "info",
      log_format: "text",
    },
    eviction: { strategy: "lru", defrag_after_cycles: 0 },
    limits: { queue_max: 256, load_seconds_max: 300, group_seconds_max: 30, keepalive_seconds: 10 },
    responses: {
      store_path: ":memory:",
      store_bytes_max: 1048576,
      store_count_max: 100,
      store_days_max: 1,
    },
    request_log: { bytes_max: 1048576, files_max: 2 },
    telemetry: {},
    neurons: [{ name: "mock", kind: "neuron", endpoint: `http://127.0.0.1:${neuronPort}` }],
  },
  profiles: { models: [] },
  log: createLog("info"),
});
process.stdout.write(`gateway on ${gateway.url}\n`);
