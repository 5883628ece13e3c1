import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ensureClients } from "../../../scripts/testing/ensure-clients.ts";
import { type ClientOptions, type ClientRun, runClient } from "./client-process.ts";

/** The package of opencode's own that speaks the dialect. */
export type OpencodeProvider = "@ai-sdk/openai-compatible" | "@ai-sdk/anthropic";

/** `opencode run` against an endpoint that a provider package of its speaks to. */
export async function runOpencode(
  options: ClientOptions & {
    readonly provider: OpencodeProvider;
    readonly limit?: { readonly context: number; readonly output: number };
  },
): Promise<ClientRun> {
  const { place, provider, endpoint, key, model, prompt } = options;
  const clients = await ensureClients();
  const config = join(place.folder, "opencode.json");
  const limit = options.limit ?? { context: 100_000, output: 8_000 };
  await Bun.write(
    config,
    JSON.stringify({
      $schema: "https://opencode.ai/config.json",
      autoupdate: false,
      share: "disabled",
      permission: "allow",
      enabled_providers: ["cortex"],
      provider: {
        cortex: {
          npm: provider,
          name: "cortex",
          options: { baseURL: `${endpoint}/v1`, apiKey: key },
          models: { [model]: { name: model, limit } },
        },
      },
    }),
  );
  await pretendPluginPackage(join(place.home, ".config/opencode"));
  return await runClient(
    [...clients.opencode, "run", "--format", "json", "--model", `cortex/${model}`, prompt],
    {
      ...options,
      env: {
        OPENCODE_CONFIG: config,
        OPENCODE_PURE: "1",
        OPENCODE_DISABLE_AUTOUPDATE: "1",
        OPENCODE_DISABLE_MODELS_FETCH: "1",
        OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
        OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
      },
    },
  );
}

/** Beside every configuration opencode installs the types of its plugins, from the network, unless they are locked. */
async function pretendPluginPackage(folder: string): Promise<void> {
  const dependencies = { "@opencode-ai/plugin": "*" };
  await mkdir(join(folder, "node_modules"), { recursive: true });
  await Bun.write(join(folder, "package.json"), JSON.stringify({ dependencies }));
  await Bun.write(
    join(folder, "package-lock.json"),
    JSON.stringify({ lockfileVersion: 3, packages: { "": { dependencies } } }),
  );
}
