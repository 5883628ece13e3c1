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
    "  Claude Code   not yet: it needs /v1/messages, which this version does not serve",
    `  Fleet         cortex status --host ${gatewayUrl}`,
    `  Metrics       ${metricsUrl}`,
    "  Stop          Ctrl-C",
    "",
    "",
  ].join("\n");
}
