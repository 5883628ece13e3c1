import type { Style } from "../frame/style.ts";

/** What to do with a running cortex; says only what this version serves. */
export function formatWelcome(
  running: { readonly gatewayUrl: string; readonly metricsUrl: string; readonly model: string },
  style: Style,
): string {
  const { gatewayUrl, metricsUrl, model } = running;
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
  return [
    "",
    style.bold(`cortex answers at ${gatewayUrl}/v1`),
    "",
    `  curl ${gatewayUrl}/v1/chat/completions -H 'content-type: application/json' \\`,
    `    -d '${body}'`,
    "",
    `  OpenAI SDKs   export OPENAI_BASE_URL=${gatewayUrl}/v1 OPENAI_API_KEY=unused`,
    `  Claude Code   export ANTHROPIC_BASE_URL=${gatewayUrl} ANTHROPIC_AUTH_TOKEN=unused`,
    `                claude --model '${model}'`,
    `  Codex         CORTEX_API_KEY=unused codex -m '${model}' -c model_provider=cortex \\`,
    `                  -c 'model_providers.cortex={ ${codexProvider(gatewayUrl)} }'`,
    `  Fleet         cortex status --host ${gatewayUrl}`,
    `  Metrics       ${metricsUrl}`,
    "  Stop          Ctrl-C",
    "",
    "",
  ].join("\n");
}

function codexProvider(gatewayUrl: string): string {
  const provider = {
    name: "cortex",
    base_url: `${gatewayUrl}/v1`,
    env_key: "CORTEX_API_KEY",
    wire_api: "responses",
  };
  return Object.entries(provider)
    .map(([key, value]) => `${key} = "${value}"`)
    .join(", ");
}
