import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadGatewayConfig } from "../../src/config/load-gateway-config.ts";
import { errorLines, withFiles } from "./config-text.ts";

const MINIMAL = `
[gateway]
listen = "0.0.0.0:31313"
metrics_listen = "0.0.0.0:31314"
[eviction]
strategy = "lru"
defrag_after_cycles = 50
[[neurons]]
name = "a"
endpoint = "http://a:13131"
[[neurons]]
name = "b"
endpoint = "http://b:13131"
`;

function errorsOf(text: string, env = {}): Promise<string[]> {
  return withFiles({ "cortex.toml": text }, (folder) =>
    errorLines(loadGatewayConfig({ file: join(folder, "cortex.toml"), env }), folder),
  );
}

test("a file with listen addresses, eviction and neurons alone is complete", async () => {
  await withFiles({ "cortex.toml": MINIMAL }, async (folder) => {
    const { config, file } = await loadGatewayConfig({ folder });
    expect(file).toBe(join(folder, "cortex.toml"));
    expect(config.eviction).toEqual({ strategy: "lru", defrag_after_cycles: 50 });
    expect(config.neurons.map((neuron) => neuron.name)).toEqual(["a", "b"]);
    expect(config.limits.queue_max).toBe(256);
    expect(config.gateway.log_level).toBe("info");
  });
});

test("without a file the defaults serve", async () => {
  const { config, file } = await loadGatewayConfig({ folder: "/nonexistent" });
  expect(file).toBeUndefined();
  expect(config.gateway.listen).toBe("0.0.0.0:31313");
  expect(config.neurons).toEqual([]);
});

test("a loaded configuration is frozen at every level", async () => {
  const { config } = await loadGatewayConfig({ folder: "/nonexistent" });
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.gateway)).toBe(true);
  expect(Object.isFrozen(config.neurons)).toBe(true);
});

test("every error is reported at once, with its place, in the file's order", async () => {
  const lines = await errorsOf(`[gateway]
lisen = "0.0.0.0:31313"
strategy = "lru"
body_bytes_max = 3
[eviction]
strategy = "lruu"
unheard_of = true
[[neurons]]
name = "a b"
[[neurons]]
endpoint = 3
`);
  expect(lines).toEqual([
    "cortex.toml has 9 errors",
    "cortex.toml:2:1: gateway.lisen is not a key of cortex; did you mean listen?",
    "cortex.toml:3:1: gateway.strategy is not a key of this table; it belongs under [eviction]",
    "cortex.toml:4:18: gateway.body_bytes_max is 3, but must be a whole number from 1024 to 536870912",
    'cortex.toml:6:12: eviction.strategy is "lruu", but must be "lru" or "priority" or "cost"; did you mean "lru"?',
    "cortex.toml:7:1: eviction.unheard_of is not a key of cortex; the keys here are strategy," +
      " defrag_after_cycles",
    "cortex.toml:8:1: neurons[0].endpoint is missing; it must be http://host:port or" +
      " https://host:port, for an API with its path",
    "cortex.toml:9:8: neurons[0].name is \"a b\", but must be 1 to 63 letters, digits, '.', '_' or '-'," +
      " first a letter or a digit",
    "cortex.toml:10:1: neurons[1].name is missing; it must be 1 to 63 letters, digits, '.', '_' or '-'," +
      " first a letter or a digit",
    "cortex.toml:11:12: neurons[1].endpoint is 3, but must be http://host:port or https://host:port," +
      " for an API with its path",
  ]);
});

test("values inside inline tables, dotted keys and lists are found", async () => {
  const lines = await errorsOf(`gateway.log_level = "loud"
eviction = { strategy = "lru", defrag_after_cycles = -1 }
neurons = [{ name = "a", endpoint = "http://a" }, { name = "b", endpoint = "ftp://b" }]
`);
  expect(lines.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
    "cortex.toml has",
    "cortex.toml:1:21: gateway.log_level",
    "cortex.toml:2:54: eviction.defrag_after_cycles",
    "cortex.toml:3:76: neurons[1].endpoint",
  ]);
});

test("a syntax error has file, line and column", async () => {
  const [first, line] = await errorsOf("[gateway]\nlisten = \n");
  expect(first).toBe("cortex.toml is not TOML");
  expect(line).toStartWith("cortex.toml:2:10: Unexpected character");
});

test("a table of the wrong kind is named", async () => {
  expect(await errorsOf("gateway = 3\n")).toEqual([
    "cortex.toml has 1 error",
    "cortex.toml:1:11: gateway is 3, but must be a table",
  ]);
});

test("an integer beyond 2^53 is refused, not rounded", async () => {
  const lines = await errorsOf("[eviction]\ndefrag_after_cycles = 9223372036854775807\n");
  expect(lines[1]).toContain("is 9223372036854775807, but must be a whole number");
});

test("listeners on one port and neurons listed twice are refused", async () => {
  const lines = await errorsOf(`[gateway]
listen = "127.0.0.1:4000"
metrics_listen = "0.0.0.0:4000"
[[neurons]]
name = "a"
endpoint = "http://a:1"
[[neurons]]
name = "a"
endpoint = "http://A:1/"
`);
  expect(lines.slice(1)).toEqual([
    'cortex.toml:3:18: gateway.metrics_listen is "0.0.0.0:4000", which gateway.listen takes already',
    'cortex.toml:8:8: neurons[1].name is "a", which neurons[0] is called already',
    'cortex.toml:9:12: neurons[1].endpoint is "http://A:1/", where the neuron a is already',
  ]);
});

test("port 0 may be given twice, port 70000 not at all", async () => {
  const listeners = (port: number) =>
    `[gateway]\nlisten = "127.0.0.1:${port}"\nmetrics_listen = "127.0.0.1:${port}"\n`;
  await withFiles({ "cortex.toml": listeners(0) }, (folder) => loadGatewayConfig({ folder }));
  const lines = await errorsOf(listeners(70_000));
  expect(lines[1]).toBe(
    "cortex.toml:2:10: gateway.listen has port 70000, but ports go from 0 to 65535",
  );
});

test("a token variable that is not set is an error, because it would leave the door open", async () => {
  const text = `[[neurons]]\nname = "a"\nendpoint = "http://a:1"\ntoken_env = "A_TOKEN"\n`;
  expect((await errorsOf(text))[1]).toBe(
    "cortex.toml:4:13: neurons[0].token_env names the variable A_TOKEN, which is not set",
  );
  await withFiles({ "cortex.toml": text }, (folder) =>
    loadGatewayConfig({ folder, env: { A_TOKEN: "secret" } }),
  );
});

test("an API is listed with its path, key and models", async () => {
  const text = `[[neurons]]
name = "cloud"
kind = "anthropic"
endpoint = "https://api.anthropic.com/v1"
api_key_env = "KEY"
models = ["claude", { id = "claude-2", name = "smart", context = 200000 }]
`;
  await withFiles({ "cortex.toml": text }, async (folder) => {
    const { config } = await loadGatewayConfig({ folder, env: { KEY: "secret" } });
    expect(config.neurons[0]).toMatchObject({
      kind: "anthropic",
      models: ["claude", { id: "claude-2", name: "smart", context: 200_000 }],
    });
  });
  expect((await errorsOf(text))[1]).toBe(
    "cortex.toml:5:15: neurons[0].api_key_env names the variable KEY, which is not set",
  );
});

test("a kind that is none, and keys of another kind, are refused where they stand", async () => {
  const lines = await errorsOf(`[[neurons]]
name = "a"
kind = "open-ai"
endpoint = "http://a/v1"
`);
  expect(lines[1]).toBe(
    'cortex.toml:3:8: neurons[0].kind is "open-ai", but must be "neuron" or "openai" or "anthropic"; did you mean "openai"?',
  );
  const crossed = await errorsOf(`[[neurons]]
name = "a"
endpoint = "http://a/v1"
models = ["x"]
[[neurons]]
name = "b"
kind = "openai"
endpoint = "http://b/v1"
token_env = "PATH"
models = ["x", { id = "y", name = "x" }]
[[neurons]]
name = "c"
kind = "openai"
endpoint = "http://b/v1?x=1"
models = [7]
`);
  expect(crossed).toEqual([
    "cortex.toml has 2 errors",
    'cortex.toml:14:12: neurons[2].endpoint is "http://b/v1?x=1", but must be http://host:port or https://host:port, for an API with its path',
    "cortex.toml:15:11: neurons[2].models[0] is 7, but must be a model's id, or a table with id and, if wanted, name and context",
  ]);
  const kinds = await errorsOf(`[[neurons]]
name = "a"
endpoint = "http://a/v1"
models = ["x"]
[[neurons]]
name = "b"
kind = "openai"
endpoint = "http://b/v1"
token_env = "PATH"
models = ["x", { id = "y", name = "x" }]
`);
  expect(kinds.slice(1)).toEqual([
    'cortex.toml:3:12: neurons[0].endpoint is "http://a/v1", but must be http://host:port or https://host:port without a path',
    'cortex.toml:4:1: neurons[0].models is for the kind "openai" or "anthropic", but this one is "neuron"',
    'cortex.toml:9:1: neurons[1].token_env is for the kind "neuron", but this one is "openai"',
    "cortex.toml:9:13: neurons[1].token_env names the variable PATH, which is not set",
    'cortex.toml:10:16: neurons[1].models[1] is "x", which is listed already',
  ]);
});

test("a flag takes the place of the file's value and is named in errors", async () => {
  const listen = (value: string) => [{ path: ["gateway", "listen"], value, origin: "--listen" }];
  await withFiles({ "cortex.toml": MINIMAL }, async (folder) => {
    const { config } = await loadGatewayConfig({ folder, overrides: listen("127.0.0.1:9") });
    expect(config.gateway.listen).toBe("127.0.0.1:9");
    const lines = await errorLines(
      loadGatewayConfig({ folder, overrides: listen("nonsense") }),
      folder,
    );
    expect(lines[1]).toStartWith('--listen: gateway.listen is "nonsense", but must be host:port');
  });
});

test("a named file that does not exist is an error", async () => {
  expect(await errorLines(loadGatewayConfig({ file: "/nonexistent/x.toml" }), "/-")).toEqual([
    "Cannot read /nonexistent/x.toml",
  ]);
});
