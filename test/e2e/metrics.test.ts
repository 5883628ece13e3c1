import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { FakeCollector } from "../fakes/fake-collector.ts";
import { Cluster, chat, type NeuronProcess } from "./processes.ts";

const MODEL = "tiny-a";
const ALERTS = join(import.meta.dir, "../../config/alerts.yml");

let cluster: Cluster;
let neuron: NeuronProcess;
const collector = new FakeCollector();

beforeAll(async () => {
  const telemetry = `[telemetry]\nendpoint = "${collector.url}"\n`;
  cluster = await Cluster.create();
  neuron = await cluster.addNeuron("box", { toml: telemetry });
  await cluster.startGateway({ toml: telemetry });
}, 90_000);

afterAll(async () => {
  await cluster.stop();
  await collector.stop();
});

/** Runs Prometheus's own checker; what it says is all that it found. */
async function promtool(args: readonly string[], input = ""): Promise<string> {
  const child = Bun.spawn(["promtool", ...args], {
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return code === 0 ? out + errors : `code ${code}: ${out}${errors}`;
}

describe("a traced request to a cold model", () => {
  const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
  const CLIENT = "00f067aa0ba902b7";

  test("is one trace from the client through the gateway to the neuron's engine", async () => {
    const response = await fetch(`${cluster.url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        traceparent: `00-${TRACE}-${CLIENT}-01`,
        tracestate: "client=1",
      },
      body: JSON.stringify({
        ...chat(MODEL, { max_tokens: 8 }),
        ...{ stream: true, stream_options: { include_usage: true } },
      }),
    });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("[DONE]");
    // Batches go out within seconds.
    await collector.until(({ spans }) =>
      ["cortex-gateway", "cortex-neuron"].every((service) =>
        spans.some((span) => span.service === service && span.kind === 2),
      ),
    );
    expect(collector.problems).toEqual([]);
    const spans = collector.spans.filter(({ traceId }) => traceId === TRACE);
    const find = (service: string, name: string) => {
      const found = spans.filter((span) => span.service === service && span.name === name);
      expect([name, found.length]).toEqual([name, 1]);
      return found[0] as (typeof spans)[number];
    };
    const root = find("cortex-gateway", "POST /v1/chat/completions");
    const [route, wait] = [
      find("cortex-gateway", "route"),
      find("cortex-gateway", "wait for load"),
    ];
    const load = find("cortex-gateway", `load ${MODEL}`);
    const call = find("cortex-gateway", "chat");
    const served = find("cortex-neuron", "POST /v1/chat/completions");
    expect(root.parentSpanId).toBe(CLIENT);
    for (const span of [route, wait, call]) expect(span.parentSpanId).toBe(root.spanId);
    expect(load.parentSpanId).toBe(wait.spanId);
    expect(served.parentSpanId).toBe(call.spanId);
    expect(served.traceState).toBe("client=1");
    expect(call.startNs >= wait.endNs).toBe(true);
    expect(root.attributes["gen_ai.usage.output_tokens"]).toBe(8);
    expect(served.attributes["gen_ai.usage.output_tokens"]).toBe(8);
    expect(served.attributes["cortex.request.id"]).toBe(root.attributes["cortex.request.id"]);
    expect(served.events.map(({ name }) => name)).toEqual(["queue", "prefill", "decode"]);
  }, 60_000);
});

describe("promtool", () => {
  test("finds nothing wrong with the metrics of a gateway that has served", async () => {
    const text = await cluster.metrics();
    expect(text).toContain(`cortex_requests_total{model="${MODEL}"`);
    expect(text).toContain("cortex_trace_spans_exported_total");
    expect(await promtool(["check", "metrics"], text)).toBe("");
  });

  test("finds nothing wrong with the metrics of a neuron that has served", async () => {
    const text = await (await neuron.get("/metrics")).text();
    expect(text).toContain(`cortex_neuron_requests_total{model="${MODEL}"`);
    expect(await promtool(["check", "metrics"], text)).toBe("");
  });

  test("reads the metrics under the names of vLLM, of which it dislikes those names alone", async () => {
    const [gateway, own] = [
      await (await fetch(`http://127.0.0.1:${cluster.metricsPort}/metrics?compat=vllm`)).text(),
      await (await neuron.get("/metrics?compat=vllm")).text(),
    ];
    for (const text of [gateway, own]) {
      expect(text).toContain(`vllm:generation_tokens_total{model_name="${MODEL}"} 8`);
      const said = (await promtool(["check", "metrics"], text)).trim().split("\n");
      const others = said.filter((line) => !line.includes("metric names should not contain ':'"));
      expect(others).toEqual([]);
    }
  });

  test("accepts the rules for alerts", async () => {
    expect(await promtool(["check", "rules", "--lint-fatal", ALERTS])).toMatch(
      /SUCCESS: \d+ rules found/,
    );
  });
});
