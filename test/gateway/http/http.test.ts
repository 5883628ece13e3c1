import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { silentLog } from "../../../src/base/log.ts";
import { startGateway } from "../../../src/gateway/start.ts";
import { GatewayHealthSchema, StatusSchema } from "../../../src/protocol/status.ts";
import { errorOf, fakeNeuron, gatewayOver } from "../fixture.ts";

describe("http", () => {
  test("every error is the OpenAI envelope with a request id", async () => {
    const neuron = fakeNeuron().addModel("llama-3", { state: "ready" });
    const gateway = await gatewayOver([neuron], { bodyBytesMax: 2_000 });
    const cases: [string, RequestInit, number, string][] = [
      ["/nope", {}, 404, "route_not_found"],
      ["/v1/chat/completions", {}, 405, "method_not_allowed"],
      ["/v1/models", { method: "DELETE" }, 405, "method_not_allowed"],
      ["/v1/models/nope", {}, 404, "model_not_found"],
      ["/v1/chat/completions", { method: "POST", body: "{" }, 400, "invalid_request"],
      ["/v1/chat/completions", { method: "POST", body: "" }, 400, "invalid_request"],
      ["/v1/chat/completions", { method: "POST", body: "[]" }, 400, "invalid_request"],
      ["/v1/chat/completions", { method: "POST", body: "{}" }, 400, "invalid_request"],
      ["/v1/chat/completions", { method: "POST", body: '{"model":7}' }, 400, "invalid_request"],
      ["/v1/embeddings", { method: "POST", body: '{"model":"x"}' }, 404, "model_not_found"],
      ["/v1/completions", { method: "POST", body: "x".repeat(3_000) }, 413, "body_too_large"],
      ["/admin/load", { method: "POST", body: "{}" }, 400, "invalid_request"],
    ];
    for (const [path, init, status, code] of cases) {
      const response = await fetch(gateway.url + path, {
        headers: { "content-type": "application/json" },
        ...init,
      });
      expect([path, response.status]).toEqual([path, status]);
      expect(response.headers.get("x-request-id")).toMatch(/^req_/);
      expect(await errorOf(response)).toMatchObject({ code, source: "cortex" });
    }
  });

  test("an unknown model's error names the nearest one and the field", async () => {
    const neuron = fakeNeuron().addModel("llama-3", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    const error = await errorOf(await gateway.chat("lama-3"));
    expect(error.message).toBe("Model 'lama-3' does not exist; did you mean 'llama-3'?");
    expect(error.param).toBe("model");
  });

  test("unknown names never become metric labels", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    await gateway.chat("junk-name-of-a-client");
    const metrics = await gateway.metrics();
    expect(metrics).not.toContain("junk-name");
    expect(metrics).toContain('cortex_rejections_total{reason="model_not_found"} 1');
    expect(metrics).toContain('cortex_neuron_up{neuron="a"} 1');
    expect(metrics).toContain('cortex_device_memory_bytes{neuron="a",device="0",state="total"}');
  });

  test("a chunked body that grows too large gets the envelope too", async () => {
    const gateway = await gatewayOver([fakeNeuron()], { bodyBytesMax: 2_000 });
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("x".repeat(1_500))),
    });
    const response = await fetch(`${gateway.url}/v1/completions`, { method: "POST", body });
    expect(response.status).toBe(413);
    expect((await errorOf(response)).code).toBe("body_too_large");
  });

  test("the catalogue lists every model, loaded or not, by its ids and aliases", async () => {
    const neuron = fakeNeuron().addModel("a/b", { state: "ready" }).addModel("cold");
    const gateway = await gatewayOver([neuron], {
      profiles: [{ id: "chat", source: "cold", aliases: ["gpt-4o"] }],
    });
    const list = (await (await fetch(`${gateway.url}/v1/models`)).json()) as {
      data: { id: string; object: string; state: string }[];
    };
    expect(list.data.map(({ id, object, state }) => [id, object, state])).toEqual([
      ["a/b", "model", "ready"],
      ["chat", "model", "absent"],
    ]);
    for (const name of ["a/b", "a%2Fb"]) {
      const one = await (await fetch(`${gateway.url}/v1/models/${name}`)).json();
      expect(one).toMatchObject({ id: "a/b", context_length: 8192, capabilities: ["chat"] });
    }
    expect(await (await fetch(`${gateway.url}/v1/models/gpt-4o`)).json()).toMatchObject({
      id: "chat",
    });
  });

  test("probes are answered: GET and HEAD of the root, and the gateway's health", async () => {
    const neuron = fakeNeuron();
    const gateway = await gatewayOver([neuron]);
    expect((await fetch(`${gateway.url}/`)).status).toBe(200);
    expect((await fetch(`${gateway.url}/`, { method: "HEAD" })).status).toBe(200);
    const health = await (await fetch(`${gateway.url}/health`)).json();
    expect(Value.Check(GatewayHealthSchema, health)).toBe(true);
    expect(health).toMatchObject({ state: "ok", neurons: [{ name: "a", state: "up" }] });
    await neuron.kill();
    await gateway.until((status) => status.state === "no_neurons");
    expect((await fetch(`${gateway.url}/health`)).status).toBe(503);
  });

  test("the status document is as its schema says", async () => {
    const neuron = fakeNeuron().addModel("m", { state: "ready" });
    const gateway = await gatewayOver([neuron]);
    const status = await gateway.status();
    expect([...Value.Errors(StatusSchema, status)]).toEqual([]);
    expect(status.neurons[0]?.devices).toHaveLength(1);
  });

  test("a port in use is an error that names it", async () => {
    const gateway = await gatewayOver([]);
    const listen = `127.0.0.1:${gateway.port}`;
    const started = startGateway({
      config: {
        gateway: {
          listen,
          metrics_listen: "127.0.0.1:0",
          body_bytes_max: 1_000,
          log_level: "error",
          log_format: "text",
        },
        eviction: { strategy: "lru", defrag_after_cycles: 0 },
        limits: { queue_max: 1, load_seconds_max: 1, group_seconds_max: 30, keepalive_seconds: 1 },
        responses: {
          store_path: ":memory:",
          store_bytes_max: 1048576,
          store_count_max: 100,
          store_days_max: 1,
        },
        request_log: { bytes_max: 1048576, files_max: 2 },
        telemetry: {},
        neurons: [],
      },
      profiles: { models: [] },
      log: silentLog,
    });
    expect(started).rejects.toThrow(`Cannot listen on ${listen}: the port is in use`);
    await started.catch(() => undefined);
  });
});
