import { ensureClients } from "../../../scripts/testing/ensure-clients.ts";
import { type ClientOptions, type ClientRun, runClient } from "./client-process.ts";

/** `codex exec` against an OpenAI Responses endpoint. */
export async function runCodex(
  options: ClientOptions & {
    readonly config?: Readonly<Record<string, string>>;
  },
): Promise<ClientRun> {
  const { place, endpoint, key, model, prompt } = options;
  const clients = await ensureClients();
  const config: Record<string, string> = {
    model_provider: "cortex",
    model,
    "model_providers.cortex.name": "cortex",
    "model_providers.cortex.base_url": `${endpoint}/v1`,
    "model_providers.cortex.env_key": "CORTEX_API_KEY",
    "model_providers.cortex.wire_api": "responses",
    // These ask hosts of their makers for news and plugins.
    check_for_update_on_startup: "false",
    "analytics.enabled": "false",
    "features.plugins": "false",
    "features.apps": "false",
    ...options.config,
  };
  return await runClient(
    [
      ...clients.codex,
      "exec",
      "--json",
      "--skip-git-repo-check",
      "--dangerously-bypass-approvals-and-sandbox",
      ...Object.entries(config).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
      prompt,
    ],
    {
      ...options,
      // The launcher is a script for Node; whatever runs this test runs it as well, also when compiled.
      env: { CORTEX_API_KEY: key, CODEX_HOME: place.home, BUN_BE_BUN: "1" },
    },
  );
}
