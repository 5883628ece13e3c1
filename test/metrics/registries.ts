import { GatewayMetrics } from "../../src/metrics/gateway-metrics.ts";
import { NeuronMetrics } from "../../src/metrics/neuron-metrics.ts";
import { registerProcessMetrics } from "../../src/metrics/process-metrics.ts";

const MODELS = ["m", 'odd "name" \\ here'];

/** A gateway's metrics with something in each of them. */
export function usedGatewayMetrics(): GatewayMetrics {
  const metrics = new GatewayMetrics(() => ({
    neurons: ["a", "b"].map((name) => ({
      name,
      up: name === "a",
      devices: [{ index: 0, totalBytes: 100, freeBytes: 40, ok: true }],
      models: MODELS.map((model) => ({ model, inFlight: 3, waiting: 1, slots: 4, slotsBusy: 2 })),
    })),
  }));
  registerProcessMetrics(metrics.registry, "gateway");
  for (const model of MODELS) {
    for (const neuron of ["a", "b"]) {
      const series = metrics.series(model, neuron);
      for (const status of [200, 499, 503]) {
        const figures = { seconds: 2, ttftSeconds: 0.3, tokensPerSecond: 25 };
        series.record(
          { ...figures, status, cachedTokens: 60, completionTokens: 10 },
          { dialect: "chat", promptTokens: 100, overheadSeconds: 0.0002 },
        );
      }
      metrics.countColdStart(model, neuron);
      metrics.observeLoad(model, neuron, 4);
    }
  }
  metrics.countRejection("queue_full");
  metrics.countFailover("stream");
  metrics.countEviction("lru", "room");
  return metrics;
}

/** A neuron's metrics with something in each of them. */
export function usedNeuronMetrics(): NeuronMetrics {
  const metrics = new NeuronMetrics({
    models: () =>
      MODELS.map((id) => ({
        ...{ id, state: "ready", in_flight: 5, queued: 2, slots: 4, slots_busy: 3 },
        ...{ prefill_tokens_per_second: 900, decode_tokens_per_second: 40, load_seconds: 3 },
        ...{ prompt_cache_bytes: 1_000, drafted_tokens: 10, accepted_tokens: 7 },
        device_bytes: [{ index: 0, weights: 10, context: 5, compute: 1 }],
      })),
    devices: () => [
      { index: 0, memory_total_bytes: 100, memory_free_bytes: 40, state: "ok" },
      { index: 1, memory_total_bytes: 100, memory_free_bytes: 40, state: "poisoned" },
    ],
  });
  for (const model of MODELS) {
    metrics.countRequest(model, { kind: "chat", status: 200, seconds: 2 });
    metrics.countTokens(model, {
      ...{ promptTokens: 100, cachedTokens: 60, completionTokens: 10, draftedTokens: 4 },
      ...{ acceptedTokens: 3, queueMs: 5, prefillMs: 100, decodeMs: 200, finish: "stop" },
    });
    metrics.observeLoad(model, 3);
    metrics.stream(model).observeFirstToken(0.2);
    metrics.stream(model).observeGap(0.02);
  }
  metrics.countRejection("queue_full");
  metrics.countKv("saved", 100);
  metrics.countPull("done", 1_000);
  metrics.countFault("model");
  return metrics;
}
