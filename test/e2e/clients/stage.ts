import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CortexProcess, findFreePort, waitUntil } from "../processes.ts";
import { Workplace } from "./client-process.ts";
import { SCRIPTED_MODEL, ScriptedUpstream, UPSTREAM_KEY } from "./scripted-upstream.ts";

/** The names under which the gateway serves the scripted model of each dialect. */
export const MODEL_NAMES = {
  chat: "model-behind-chat",
  messages: "model-behind-messages",
} as const;
/** A name that Codex knows and offers more tools to, of the types custom and tool_search; the chat upstream has it. */
export const MODEL_KNOWN_TO_CODEX = "gpt-5.5";
/** What clients show to the gateway; it must never reach an upstream. */
export const CLIENT_KEY = "sk-of-the-client";

/** Where a client is sent, and which upstream has to see its requests in the end. */
export interface Target {
  readonly upstream: ScriptedUpstream;
  readonly endpoint: string;
  readonly key: string;
  readonly model: string;
}

/** A gateway of the compiled executable over one scripted upstream of each dialect. */
export class Stage {
  readonly port = findFreePort();
  readonly endpoint = `http://127.0.0.1:${this.port}`;
  #gateway: CortexProcess | undefined;

  private constructor(
    readonly folder: string,
    readonly upstreams: {
      readonly chat: ScriptedUpstream;
      readonly messages: ScriptedUpstream;
    },
  ) {}

  static async open(): Promise<Stage> {
    const folder = await mkdtemp(join(tmpdir(), "cortex-clients-"));
    const stage = new Stage(folder, {
      chat: await ScriptedUpstream.start("chat"),
      messages: await ScriptedUpstream.start("messages"),
    });
    await stage.#startGateway();
    return stage;
  }

  /** The way through the gateway. */
  target(dialect: keyof typeof MODEL_NAMES): Target {
    return {
      upstream: this.upstreams[dialect],
      endpoint: this.endpoint,
      key: CLIENT_KEY,
      model: MODEL_NAMES[dialect],
    };
  }

  /** Everything that the gateway printed, for a failed test's message. */
  get gatewayOutput(): string {
    return this.#gateway?.output ?? "";
  }

  async close(): Promise<void> {
    await this.#gateway?.end("SIGKILL");
    await this.upstreams.chat.stop();
    await this.upstreams.messages.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #startGateway(): Promise<void> {
    const entry = (kind: string, endpoint: string, names: readonly string[]) =>
      `[[neurons]]\nname = "${kind}-api"\nkind = "${kind}"\nendpoint = "${endpoint}"\n` +
      `api_key_env = "SCRIPTED_KEY"\nmodels = [${names
        .map((name) => `{ id = "${SCRIPTED_MODEL}", name = "${name}" }`)
        .join()}]\n`;
    const config = join(this.folder, "cortex.toml");
    const listen = `[gateway]\nlisten = "127.0.0.1:${this.port}"\n`;
    const metrics = `metrics_listen = "127.0.0.1:${findFreePort()}"\n\n`;
    await Bun.write(
      config,
      listen +
        metrics +
        entry("openai", `${this.upstreams.chat.url}/v1`, [MODEL_NAMES.chat, MODEL_KNOWN_TO_CODEX]) +
        entry("anthropic", this.upstreams.messages.url, [MODEL_NAMES.messages]),
    );
    const gateway = new CortexProcess(["gateway", "--config", config], {
      SCRIPTED_KEY: UPSTREAM_KEY,
    });
    this.#gateway = gateway;
    await waitUntil(async () => (await this.#modelIds()).length === 3, {
      what: () => `all models in the catalogue, the gateway printed:\n${gateway.output}`,
    });
  }

  async #modelIds(): Promise<readonly string[]> {
    try {
      const response = await fetch(`${this.endpoint}/v1/models`);
      const list = (await response.json()) as { readonly data: readonly { id: string }[] };
      return list.data.map((model) => model.id);
    } catch {
      // Nobody listens yet: asked again until the deadline.
      return [];
    }
  }
}

/** The way past the gateway: a client that fails there, too, fails for reasons of its own. */
export function directTarget(upstream: ScriptedUpstream): Target {
  return { upstream, endpoint: upstream.url, key: UPSTREAM_KEY, model: SCRIPTED_MODEL };
}

/** Lets a test use a workplace that goes with it. */
export async function inWorkplace(work: (place: Workplace) => Promise<void>): Promise<void> {
  const place = await Workplace.create();
  try {
    await work(place);
  } finally {
    await place.remove();
  }
}
