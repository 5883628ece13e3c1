import { describe, expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { loadGatewayConfig } from "../../src/config/load-gateway-config.ts";
import { loadNeuronConfig } from "../../src/config/load-neuron-config.ts";
import type { TelemetryConfig } from "../../src/config/telemetry-schema.ts";
import { readTelemetrySettings } from "../../src/telemetry/settings.ts";
import { errorLines, withFiles } from "../config/config-text.ts";

const BASE = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://base:4318/" };

function read(config: TelemetryConfig, env: Record<string, string> = {}) {
  return readTelemetrySettings(config, { env, defaultName: "cortex-gateway" });
}

/** Whether a trace with this last digits is recorded; by nobody's wish but ours. */
const samples = (config: TelemetryConfig, env: Record<string, string>, tail: string) =>
  read(config, env)?.sampler("0".repeat(19) + tail, undefined);
const LOW = "1".repeat(13);
const HIGH = "f".repeat(13);

describe("traces are off", () => {
  test("without an endpoint", () => {
    expect(read({})).toBeUndefined();
    expect(
      read({ sample_ratio: 1, service_name: "x" }, { OTEL_SERVICE_NAME: "y" }),
    ).toBeUndefined();
  });

  test("by the standard variables, whatever the configuration says", () => {
    const config = { endpoint: "http://own:4318" };
    expect(read(config, { OTEL_SDK_DISABLED: "TRUE" })).toBeUndefined();
    expect(read(config, { OTEL_TRACES_EXPORTER: "none" })).toBeUndefined();
    expect(read(config, { OTEL_SDK_DISABLED: "false" })?.url).toBe("http://own:4318/v1/traces");
  });
});

describe("where traces go", () => {
  const exact = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://traces:9/in?x=1" };

  test.each([
    [{ endpoint: "http://own:4318" }, { ...BASE, ...exact }, "http://own:4318/v1/traces"],
    [{ endpoint: "https://own/otlp/" }, {}, "https://own/otlp/v1/traces"],
    [{ endpoint: "https://own/v1/traces" }, {}, "https://own/v1/traces"],
    [{}, BASE, "http://base:4318/v1/traces"],
    [{}, { ...BASE, ...exact }, "http://traces:9/in?x=1"],
    [{}, { ...BASE, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "" }, "http://base:4318/v1/traces"],
  ])("%j with %j: %s", (config, env, url) => {
    expect(read(config, env as Record<string, string>)?.url).toBe(url);
  });

  test("a variable that is no address is refused by its name", () => {
    expect(() => read({}, { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4317" })).toThrow(
      'OTEL_EXPORTER_OTLP_ENDPOINT is "collector:4317", must be http://host:port or https://host:port',
    );
  });

  test("another protocol is warned of", () => {
    const env = { ...BASE, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
    expect(read({}, env)?.warnings).toEqual([
      "OTEL_EXPORTER_OTLP_PROTOCOL is grpc: traces go out as http/json",
    ]);
  });
});

describe("what is sent along", () => {
  test("headers are the configuration's, else the variable's, percent-decoded", async () => {
    const env = { ...BASE, OTEL_EXPORTER_OTLP_HEADERS: "a=1, authorization=Basic%20x%3D" };
    expect(read({}, env)?.headers).toEqual([
      ["a", "1"],
      ["authorization", "Basic x="],
    ]);
    expect(read({ headers: "b=2" }, env)?.headers).toEqual([["b", "2"]]);
    expect(read({ headers_env: "H" }, { ...env, H: "c=Bearer 3" })?.headers).toEqual([
      ["c", "Bearer 3"],
    ]);
    await withFiles({ lines: "d=4\ne=5\n" }, async (folder) => {
      const file = join(folder, "lines");
      await chmod(file, 0o600);
      const settings = read({ headers_file: file }, env);
      expect(settings?.headers).toEqual([
        ["d", "4"],
        ["e", "5"],
      ]);
      expect(settings?.warnings).toEqual([]);
    });
  });

  test("a service's name is the configuration's, else the variable's, else the role's", () => {
    const env = { ...BASE, OTEL_SERVICE_NAME: "named" };
    expect(read({ service_name: "own" }, env)?.serviceName).toBe("own");
    expect(read({}, env)?.serviceName).toBe("named");
    expect(read({}, BASE)?.serviceName).toBe("cortex-gateway");
  });
});

describe("which traces are recorded", () => {
  const by = (sampler: string, arg?: string): Record<string, string> => ({
    ...{ ...BASE, OTEL_TRACES_SAMPLER: sampler },
    ...(arg === undefined ? {} : { OTEL_TRACES_SAMPLER_ARG: arg }),
  });

  test("all by default, a part by a ratio of the trace's id", () => {
    expect(samples({}, BASE, LOW)).toBe(true);
    expect(samples({ sample_ratio: 0.5 }, by("always_off"), LOW)).toBe(false);
    expect(samples({ sample_ratio: 0.5 }, by("always_off"), HIGH)).toBe(true);
    expect(samples({ sample_ratio: 0 }, BASE, HIGH)).toBe(false);
    expect(samples({}, by("traceidratio", "0.5"), LOW)).toBe(false);
    expect(samples({}, by("parentbased_traceidratio", "0.5"), HIGH)).toBe(true);
    expect(samples({}, by("always_off"), HIGH)).toBe(false);
  });

  test("as the caller wants, where the sampler heeds it", () => {
    const caller = { traceId: "1".repeat(32), spanId: "2".repeat(16), state: "" };
    const heard = (env: Record<string, string>, flags: number) =>
      read({}, env)?.sampler(caller.traceId, { ...caller, flags });
    expect(heard(BASE, 0)).toBe(false);
    expect(heard(by("parentbased_always_off"), 1)).toBe(true);
    expect(heard(by("always_on"), 0)).toBe(true);
    expect(heard(by("always_off"), 1)).toBe(false);
  });

  test("all, with a warning, by what is no sampler or ratio", () => {
    const settings = read({}, by("jaeger_remote"));
    expect(settings?.warnings).toEqual([
      'OTEL_TRACES_SAMPLER is "jaeger_remote", which is not known: all is traced',
    ]);
    expect(read({}, by("traceidratio", "2"))?.warnings).toEqual([
      'OTEL_TRACES_SAMPLER_ARG is "2", must be 0 to 1: 1 is taken',
    ]);
  });
});

describe("the table [telemetry]", () => {
  test("has the path of its file absolute, in both roles", async () => {
    const table = '[telemetry]\nendpoint = "http://c:4318"\nheaders_file = "h"\n';
    const files = { "cortex.toml": table, "neuron.toml": table, h: "a=1\n" };
    await withFiles(files, async (folder) => {
      for (const load of [loadGatewayConfig, loadNeuronConfig]) {
        const { config } = await load({ folder, env: {} });
        expect(config.telemetry.headers_file).toBe(join(folder, "h"));
      }
    });
  });

  test.each([
    ['endpoint = "collector:4317"', "telemetry.endpoint"],
    ['headers = "novalue"', "telemetry.headers cannot be used: header 1 is no name=value"],
    ['headers = "host=x"', "header 1, host, is written by cortex itself"],
    ['headers = "a=b"\nheaders_env = "H"', "telemetry.headers is beside headers_env"],
    ['headers_env = "MISSING"', "names the variable MISSING, which is not set"],
    ['headers_env = "BAD"', "telemetry.headers_env cannot be used: header 1 is no name=value"],
    ["sample_ratio = 1.5", "telemetry.sample_ratio"],
  ])("refuses %s", async (line, message) => {
    await withFiles({ "cortex.toml": `[telemetry]\n${line}\n` }, async (folder) => {
      const lines = await errorLines(
        loadGatewayConfig({ folder, env: { H: "a=b", BAD: "secret" } }),
        folder,
      );
      expect(lines.join("\n")).toContain(message);
      expect(lines.join("\n")).not.toContain("secret");
    });
  });
});
