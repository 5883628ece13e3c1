import { afterEach, describe, expect, test } from "bun:test";
import type { NeuronConfig } from "../../../src/config/gateway-schema.ts";
import { Upstream } from "../../../src/gateway/upstream/upstream.ts";

const open: Upstream[] = [];

afterEach(() => {
  for (const { origin } of open.splice(0)) origin.close();
});

function upstream(config: Partial<NeuronConfig>, secret?: string): Upstream {
  const made = new Upstream(
    { name: "x", kind: "neuron", endpoint: "http://h:1", ...config },
    secret,
  );
  open.push(made);
  return made;
}

describe("upstream", () => {
  test("the base URL of an API is understood as its SDK does, and with or without the /v1", () => {
    const cases: [NeuronConfig["kind"], string, string][] = [
      ["neuron", "http://h:13131", "/v1/models"],
      ["neuron", "http://h:13131/", "/v1/models"],
      ["openai", "https://api.openai.com/v1", "/v1/models"],
      ["openai", "http://h:8000/v1/", "/v1/models"],
      ["openai", "http://h:8000", "/v1/models"],
      ["openai", "https://openrouter.ai/api/v1", "/api/v1/models"],
      ["openai", "https://h/openai", "/openai/models"],
      ["anthropic", "https://api.anthropic.com", "/v1/models"],
      ["anthropic", "https://api.anthropic.com/v1", "/v1/models"],
      ["anthropic", "https://h/anthropic/", "/anthropic/v1/models"],
    ];
    for (const [kind, endpoint, path] of cases) {
      const found = upstream({ kind, endpoint }).pathOf("/v1/models");
      expect([endpoint, found]).toEqual([endpoint, path]);
    }
  });

  test("an API's key stands in the header that its dialect has for it, a neuron's token in none of these", () => {
    expect(upstream({ kind: "openai" }, "k").headerLines).toContain("Authorization: Bearer k\r\n");
    expect(upstream({ kind: "anthropic" }, "k").headerLines).toContain("X-Api-Key: k\r\n");
    expect(upstream({ kind: "openai" }).headerLines).not.toContain("Authorization");
    expect(upstream({}, "k").headerLines).toBe("");
  });

  test("models have the API's names there and the fleet's names here", () => {
    const api = upstream({ kind: "openai", models: ["a", { id: "vendor/b", name: "b" }] });
    expect(["a", "b", "c"].map((name) => api.idOf(name))).toEqual(["a", "vendor/b", "c"]);
  });
});
