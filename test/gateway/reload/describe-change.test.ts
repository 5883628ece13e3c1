import { describe, expect, test } from "bun:test";
import {
  describeChange,
  type FullConfig,
  mergeRunning,
} from "../../../src/gateway/reload/describe-change.ts";
import { configOf, profile } from "../fixture.ts";

const neuron = (name: string, endpoint = `http://${name}:13131`) => ({
  ...{ name, endpoint, kind: "neuron" as const },
});

function full(change: Partial<FullConfig["config"]> = {}, ids: readonly string[] = []): FullConfig {
  const profiles = { models: ids.map((id) => profile({ id })) };
  return { config: { ...configOf([]), ...change }, profiles };
}

describe("configuration change", () => {
  test("nothing differs from itself", () => {
    expect(describeChange(full(), full())).toEqual({});
  });

  test("neurons and profiles that come, go and change are named", () => {
    const before = full({ neurons: [neuron("a"), neuron("b"), neuron("c")] }, ["x", "y"]);
    const after = full({ neurons: [neuron("d"), neuron("a"), neuron("b", "http://new:1")] }, ["y"]);
    expect(describeChange(before, after)).toEqual({
      ...{ neurons_added: "d", neurons_removed: "c", neurons_changed: "b", profiles_removed: "x" },
    });
  });

  test("a setting is told with both values, one that needs a restart by its name", () => {
    const { config } = full();
    const after = full({
      limits: { ...config.limits, queue_max: 7 },
      gateway: { ...config.gateway, listen: "127.0.0.1:9", log_level: "debug" },
    });
    expect(describeChange(full(), after)).toEqual({
      settings: 'gateway.log_level "error" -> "debug", limits.queue_max 64 -> 7',
      needs_restart: "gateway.listen",
    });
  });

  test("what needs a restart is told at each reload until then", () => {
    const wanted = full({ gateway: { ...full().config.gateway, listen: "127.0.0.1:9" } });
    const running = mergeRunning(full(), wanted);
    expect(describeChange(running, wanted)).toEqual({ needs_restart: "gateway.listen" });
  });

  test("of hundreds of neurons twenty are named", () => {
    const neurons = Array.from({ length: 200 }, (_, index) => neuron(`n${index}`));
    const { neurons_added } = describeChange(full(), full({ neurons }));
    expect(neurons_added).toEndWith("n19 and 180 more");
  });
});
