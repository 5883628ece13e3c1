import { afterEach } from "bun:test";
import { type Log, silentLog } from "../../src/base/log.ts";
import type { GatewayConfig } from "../../src/config/gateway-schema.ts";
import type { ModelProfile, ModelProfiles } from "../../src/config/models-schema.ts";
import { type RunningGateway, startGateway } from "../../src/gateway/start.ts";
import type { Status } from "../../src/protocol/status.ts";
import { FakeApi } from "../fakes/fake-api.ts";
import { FakeNeuron } from "../fakes/fake-neuron.ts";

/** What a test may set; everything else is as in an example configuration. */
export interface GatewayOverrides {
  readonly limits?: Partial<GatewayConfig["limits"]>;
  readonly bodyBytesMax?: number;
  readonly strategy?: GatewayConfig["eviction"]["strategy"];
  readonly profiles?: readonly (Partial<ModelProfile> & { readonly id: string })[];
  readonly requestLog?: Partial<GatewayConfig["request_log"]>;
  readonly telemetry?: GatewayConfig["telemetry"];
  readonly log?: Log;
  /** APIs beside the neurons. */
  readonly apis?: readonly ApiEntry[];
}

/** An API and what the configuration says of it. */
export interface ApiEntry {
  readonly api: FakeApi;
  readonly name: string;
  readonly entry?: Partial<GatewayConfig["neurons"][number]>;
}

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A fake neuron that lives until the end of the test. */
export function fakeNeuron(): FakeNeuron {
  const neuron = new FakeNeuron().start();
  cleanups.push(() => neuron.kill());
  return neuron;
}

/** A fake API that lives until the end of the test. */
export function fakeApi(kind: FakeApi["kind"], models: readonly string[] = []): FakeApi {
  const api = new FakeApi(kind).start();
  api.models = [...models];
  cleanups.push(() => api.kill());
  return api;
}

/** A profile with every default. */
export function profile(given: Partial<ModelProfile> & { readonly id: string }): ModelProfile {
  return {
    ...{ aliases: [], priority: 0, pinned: false, replicas_min: 0, keep_kv: false, resume: false },
    ...given,
  };
}

/** A neuron's name in the configuration, and the neuron. */
export type NamedNeuron = readonly [name: string, neuron: FakeNeuron];

/** A configuration of these neurons, named a, b, c … where they have no names. */
export function configOf(
  neurons: readonly (FakeNeuron | NamedNeuron)[],
  overrides: GatewayOverrides = {},
): GatewayConfig {
  return {
    gateway: {
      listen: "127.0.0.1:0",
      metrics_listen: "127.0.0.1:0",
      body_bytes_max: overrides.bodyBytesMax ?? 1024 * 1024,
      log_level: "error",
      log_format: "text",
    },
    eviction: { strategy: overrides.strategy ?? "lru", defrag_after_cycles: 0 },
    limits: {
      ...{ queue_max: 64, load_seconds_max: 60, group_seconds_max: 30, keepalive_seconds: 10 },
      ...overrides.limits,
    },
    responses: {
      store_path: ":memory:",
      store_bytes_max: 1048576,
      store_count_max: 100,
      store_days_max: 1,
    },
    request_log: { bytes_max: 1048576, files_max: 2, ...overrides.requestLog },
    telemetry: overrides.telemetry ?? {},
    neurons: [
      ...neurons.map((given, index) => {
        const [name, neuron] =
          given instanceof FakeNeuron ? [String.fromCharCode(97 + index), given] : given;
        return { name, kind: "neuron" as const, endpoint: neuron.url };
      }),
      ...(overrides.apis ?? []).map(({ api, name, entry }) => ({
        name,
        kind: api.kind,
        endpoint: api.url,
        ...entry,
      })),
    ],
  };
}

function profilesOf(overrides: GatewayOverrides): ModelProfiles {
  return { models: (overrides.profiles ?? []).map(profile) };
}

/** A running gateway over these neurons that lives until the end of the test. */
export async function gatewayOver(
  neurons: readonly (FakeNeuron | NamedNeuron)[],
  overrides: GatewayOverrides = {},
): Promise<TestGateway> {
  const gateway = await startGateway({
    config: configOf(neurons, overrides),
    profiles: profilesOf(overrides),
    log: overrides.log ?? silentLog,
  });
  cleanups.push(() => gateway.stop());
  return new TestGateway(gateway);
}

/** A gateway as a client and an operator see it. */
export class TestGateway {
  readonly url: string;
  readonly metricsUrl: string;
  readonly stop: () => Promise<void>;
  readonly #gateway: RunningGateway;

  constructor(gateway: RunningGateway) {
    this.#gateway = gateway;
    this.url = gateway.url;
    this.metricsUrl = gateway.metricsUrl;
    this.stop = () => gateway.stop();
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Goes on with another configuration, as after a change of the files. */
  reload(neurons: readonly (FakeNeuron | NamedNeuron)[], overrides: GatewayOverrides = {}) {
    const config = configOf(neurons, overrides);
    return this.#gateway.reload({ config, profiles: profilesOf(overrides) });
  }

  async post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    return await fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async chat(model: string, options: Readonly<Record<string, unknown>> = {}): Promise<Response> {
    return await this.post("/v1/chat/completions", { model, messages: [], ...options });
  }

  async status(): Promise<Status> {
    return (await (await fetch(`${this.url}/admin/status`)).json()) as Status;
  }

  async metrics(): Promise<string> {
    return await (await fetch(`${this.metricsUrl}/metrics`)).text();
  }

  /** Asks for the status until it is as wanted: the gateway tells nobody of its inner changes. */
  async until(wanted: (status: Status) => boolean): Promise<Status> {
    for (let attempt = 0; attempt < 2_000; attempt += 1) {
      const status = await this.status();
      if (wanted(status)) return status;
      await Bun.sleep(2);
    }
    throw new Error(`Status never became as wanted: ${JSON.stringify(await this.status())}`);
  }
}

/** The error of an answer in the OpenAI envelope. */
export async function errorOf(
  response: Response,
): Promise<{ code: string; message: string; param: string | null; source: string }> {
  const body = (await response.json()) as {
    error: { code: string; message: string; param: string | null; source: string };
  };
  return body.error;
}
