import { describe, expect, test } from "bun:test";
import { fakeNeuron, gatewayOver } from "../gateway/fixture.ts";
import { countSeries, lintMetrics, parseExposition, type ScrapedMetric } from "./exposition.ts";
import { usedGatewayMetrics, usedNeuronMetrics } from "./registries.ts";

/** What is promised, with its labels and, of a histogram, its buckets. */
const PROMISED: Readonly<Record<string, { labels?: string; buckets?: string }>> = {
  cortex_requests_total: { labels: "model neuron dialect status" },
  cortex_request_duration_seconds: {
    labels: "model neuron",
    buckets: "0.1 0.5 1 2.5 5 10 30 60 120 300 600 1200",
  },
  cortex_time_to_first_token_seconds: {
    labels: "model neuron",
    buckets: "0.05 0.1 0.25 0.5 1 2 5 10 20 30 60 120",
  },
  cortex_tokens_per_second: {
    labels: "model neuron",
    buckets: "1 2.5 5 10 15 20 30 40 60 80 120 200",
  },
  cortex_prompt_tokens_total: { labels: "model neuron" },
  cortex_completion_tokens_total: { labels: "model neuron" },
  cortex_cached_prompt_tokens_total: { labels: "model neuron" },
  cortex_in_flight: { labels: "model neuron" },
  cortex_queue_depth: { labels: "model neuron" },
  cortex_rejections_total: { labels: "reason" },
  cortex_cold_starts_total: { labels: "model neuron" },
  cortex_load_seconds: { labels: "model neuron" },
  cortex_evictions_total: { labels: "strategy reason" },
  cortex_failovers_total: { labels: "phase" },
  cortex_neuron_up: { labels: "neuron" },
  cortex_device_memory_bytes: { labels: "neuron device state" },
  cortex_device_state: { labels: "neuron device" },
  cortex_overhead_seconds: { labels: "model neuron" },
};

const scrapeGateway = async (names?: "vllm") =>
  parseExposition(await usedGatewayMetrics().render(names));
const scrapeNeuron = async (names?: "vllm") =>
  parseExposition(await usedNeuronMetrics().render(names));

function describeMetric(metric: ScrapedMetric | undefined) {
  const [first] = metric?.samples ?? [];
  const own = metric?.samples.filter(({ labels }) => labels === first?.labels) ?? [];
  const bounds = own.flatMap(({ bound }) =>
    bound === undefined || bound === "+Inf" ? [] : [bound],
  );
  return { labels: first?.labelNames.join(" "), buckets: bounds.join(" ") };
}

describe("metrics", () => {
  test("the gateway exports what is promised, with these labels and buckets", async () => {
    const metrics = await scrapeGateway();
    for (const [name, { labels, buckets }] of Object.entries(PROMISED)) {
      const found = describeMetric(metrics.get(name));
      expect([name, found.labels]).toEqual([name, labels]);
      if (buckets !== undefined) expect([name, found.buckets]).toEqual([name, buckets]);
    }
  });

  test("neurons have the same buckets for the same figures", async () => {
    const metrics = await scrapeNeuron();
    for (const figure of [
      "request_duration_seconds",
      "time_to_first_token_seconds",
      "tokens_per_second",
    ]) {
      const { buckets } = describeMetric(metrics.get(`cortex_neuron_${figure}`));
      expect<unknown>([figure, buckets]).toEqual([figure, PROMISED[`cortex_${figure}`]?.buckets]);
    }
  });

  test("every metric of the gateway and of neurons keeps to Prometheus's rules", async () => {
    expect(lintMetrics(await scrapeGateway())).toEqual([]);
    expect(lintMetrics(await scrapeNeuron())).toEqual([]);
  });

  test("no metric of a gateway has the name of a neuron's", async () => {
    const shared = new Set((await scrapeGateway()).keys()).intersection(
      new Set((await scrapeNeuron()).keys()),
    );
    const own = [...shared].filter((name) => !name.startsWith("process_"));
    expect(own).toEqual(["cortex_build_info"]);
  });

  test("the first failover is a step that a rate can see", async () => {
    const gateway = await gatewayOver([fakeNeuron()]);
    expect(await gateway.metrics()).toContain('cortex_failovers_total{phase="stream"} 0');
  });
});

describe("metrics under the names of vLLM", () => {
  const BOTH = [
    ..."num_requests_running num_requests_waiting kv_cache_usage_perc".split(" "),
    ..."gpu_cache_usage_perc request_success_total prompt_tokens_total".split(" "),
    ..."generation_tokens_total prefix_cache_queries_total prefix_cache_hits_total".split(" "),
    ..."gpu_prefix_cache_queries_total gpu_prefix_cache_hits_total".split(" "),
    ..."time_to_first_token_seconds time_per_output_token_seconds".split(" "),
    ..."e2e_request_latency_seconds request_prompt_tokens request_generation_tokens".split(" "),
  ];
  const GATEWAY_ONLY = ["request_time_per_output_token_seconds"];
  const NEURON_ONLY = [
    ..."inter_token_latency_seconds request_queue_time_seconds".split(" "),
    ..."request_prefill_time_seconds request_decode_time_seconds".split(" "),
  ];

  test("are all there, with the model as their only label but for how texts ended", async () => {
    for (const [metrics, own] of [
      [await scrapeGateway("vllm"), GATEWAY_ONLY],
      [await scrapeNeuron("vllm"), NEURON_ONLY],
    ] as const) {
      const names = [...BOTH, ...own].map((name) => `vllm:${name}`);
      expect([...metrics.keys()].toSorted()).toEqual(names.toSorted());
      for (const { name, samples } of metrics.values()) {
        expect([name, samples.length > 0]).toEqual([name, true]);
        const isSplit = own === NEURON_ONLY && name === "vllm:request_success_total";
        const labels = isSplit ? ["model_name", "finished_reason"] : ["model_name"];
        for (const { labelNames } of samples) expect(labelNames).toEqual(labels);
      }
      const wrong = lintMetrics(metrics).filter((line) => !/snake case/.test(line));
      expect(wrong).toEqual([]);
    }
  });

  test("tell how texts ended on a neuron: by themselves, by a limit, or with the client", async () => {
    const neuron = usedNeuronMetrics();
    neuron.countRequest("m", { kind: "chat", status: 499, seconds: 1 });
    const text = await neuron.render("vllm");
    for (const reason of ["stop", "abort"]) {
      const labels = `model_name="m",finished_reason="${reason}"`;
      expect(text).toContain(`vllm:request_success_total{${labels}} 1`);
    }
    expect(text).toContain('vllm:prefix_cache_queries_total{model_name="m"} 100');
    expect(text).toContain('vllm:prefix_cache_hits_total{model_name="m"} 60');
    expect(text).toContain('vllm:request_prefill_time_seconds_sum{model_name="m"} 0.1');
    expect(text).toContain('vllm:request_generation_tokens_sum{model_name="m"} 10');
  });

  test("add up what a model does on all neurons", async () => {
    const metrics = await scrapeGateway("vllm");
    const of = (name: string, sample = name) =>
      metrics
        .get(`vllm:${name}`)
        ?.samples.find((each) => each.name === `vllm:${sample}` && each.labels === "model_name=m")
        ?.value;
    expect(of("num_requests_running")).toBe(4);
    expect(of("num_requests_waiting")).toBe(2);
    expect(of("gpu_cache_usage_perc")).toBe(0.5);
    expect(of("prompt_tokens_total")).toBe(600);
    expect(of("request_success_total")).toBe(2);
    expect(of("prefix_cache_hits_total")).toBe(360);
    expect(of("request_prompt_tokens", "request_prompt_tokens_sum")).toBe(600);
    expect(of("generation_tokens_total")).toBe(60);
    expect(of("e2e_request_latency_seconds", "e2e_request_latency_seconds_count")).toBe(6);
    expect(of("time_per_output_token_seconds", "time_per_output_token_seconds_sum")).toBeCloseTo(
      0.24,
    );
  });

  test("come over HTTP, and other names are refused", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready", slots: 4 });
    const gateway = await gatewayOver([neuron]);
    await (await gateway.chat("m")).text();
    const ask = (query: string) => fetch(`${gateway.metricsUrl}/metrics${query}`);
    const text = await (await ask("?compat=vllm")).text();
    expect(text).toContain('vllm:num_requests_running{model_name="m"} 0');
    expect(text).toContain('vllm:generation_tokens_total{model_name="m"} 2');
    const refused = await ask("?compat=tgi");
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("Parameter 'compat' is \\\"tgi\\\", must be vllm");
  });
});

/** More than any client's list of models, and enough to show in any count. */
const JUNK_REQUESTS = 10_000;
/** As many connections as a client has. */
const PARALLEL = 50;

test("junk models, paths, fields and user agents make no new series", async () => {
  const neuron = fakeNeuron().addModel("m", { state: "ready" });
  const gateway = await gatewayOver([neuron]);
  let sent = 0;
  const send = async (): Promise<void> => {
    const junk = `junk-${sent}`;
    const kind = sent % 5;
    sent += 1;
    const path = kind === 0 ? `/v1/${junk}` : kind === 1 ? "/v1/messages" : "/v1/chat/completions";
    const body = {
      model: kind === 4 ? "m" : junk,
      messages: [],
      user: junk,
      ...(kind === 3 ? { stream: junk } : {}),
    };
    const response = await fetch(`${gateway.url}${path}?${junk}=1`, {
      method: "POST",
      headers: { "user-agent": junk, "x-request-id": junk, "x-session-id": junk },
      body: kind === 2 ? junk : JSON.stringify(body),
    });
    await response.text();
  };
  const series = async () => {
    const scraped = parseExposition(await gateway.metrics());
    return { count: countSeries(scraped), text: JSON.stringify([...scraped.values()]) };
  };
  const sendMany = (count: number) =>
    Promise.all(
      Array.from({ length: PARALLEL }, async () => {
        for (let index = 0; index < count / PARALLEL; index += 1) await send();
      }),
    );
  // Each way of going wrong has its own series, which the first of its kind makes.
  await sendMany(PARALLEL);
  const before = await series();
  await sendMany(JUNK_REQUESTS);
  const after = await series();
  expect(after.count).toBe(before.count);
  expect(after.text).not.toContain("junk");
}, 60_000);
