/** The clients whose settings are known. */
export const CLIENTS = ["claude-code", "codex", "opencode", "zed", "openai", "anthropic"] as const;
export type ClientName = (typeof CLIENTS)[number];

/** One piece of a client's settings: what goes where. */
export interface ClientSetting {
  readonly where: string;
  readonly text: string;
}

/** What a client answers at most, where its settings want a figure. */
const OUTPUT_TOKENS = 8_192;

/** What a client is to use. */
export interface ConnectedGateway {
  /** As the client reaches it, without a path. */
  readonly url: string;
  readonly model: string;
  /** Tokens of its context; 0 where nobody knows. */
  readonly context: number;
}

/** The settings that make a client use a model of this gateway. */
export function listClientSettings(
  client: ClientName,
  gateway: ConnectedGateway,
): readonly ClientSetting[] {
  const { url, model, context } = gateway;
  const shell = "your shell";
  switch (client) {
    case "claude-code":
      return [
        {
          where: shell,
          text: exports({
            ANTHROPIC_BASE_URL: url,
            ANTHROPIC_AUTH_TOKEN: "cortex",
            ANTHROPIC_MODEL: model,
            // Titles and other small things are asked of the same model.
            ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
            ANTHROPIC_DEFAULT_SONNET_MODEL: model,
            ANTHROPIC_DEFAULT_OPUS_MODEL: model,
            CLAUDE_CODE_SUBAGENT_MODEL: model,
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
            // It takes a model that it does not know to have a million.
            ...(context > 0 ? { CLAUDE_CODE_MAX_CONTEXT_TOKENS: String(context) } : {}),
          }),
        },
      ];
    case "codex":
      return [
        { where: "~/.codex/config.toml", text: codexConfig(gateway) },
        { where: shell, text: exports({ CORTEX_API_KEY: "cortex" }) },
      ];
    case "opencode":
      return [{ where: "opencode.json", text: toJson(opencodeConfig(gateway)) }];
    case "zed": {
      const available = [{ name: model, display_name: model, max_tokens: context }];
      const provider = { api_url: `${url}/v1`, available_models: available };
      const settings = { language_models: { openai_compatible: { cortex: provider } } };
      return [
        { where: "~/.config/zed/settings.json", text: toJson(settings) },
        { where: shell, text: exports({ CORTEX_API_KEY: "cortex" }) },
      ];
    }
    case "openai":
      return [
        { where: shell, text: exports({ OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: "cortex" }) },
        { where: "the request", text: `"model": ${JSON.stringify(model)}` },
      ];
    case "anthropic":
      return [
        { where: shell, text: exports({ ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: "cortex" }) },
        { where: "the request", text: `"model": ${JSON.stringify(model)}` },
      ];
  }
}

function codexConfig({ url, model, context }: ConnectedGateway): string {
  return [
    `model = ${JSON.stringify(model)}`,
    'model_provider = "cortex"',
    ...(context > 0 ? [`model_context_window = ${context}`] : []),
    "",
    "[model_providers.cortex]",
    'name = "cortex"',
    `base_url = ${JSON.stringify(`${url}/v1`)}`,
    'env_key = "CORTEX_API_KEY"',
    'wire_api = "responses"',
  ].join("\n");
}

function opencodeConfig({ url, model, context }: ConnectedGateway): object {
  const output = Math.min(OUTPUT_TOKENS, Math.ceil(context / 2));
  return {
    $schema: "https://opencode.ai/config.json",
    provider: {
      cortex: {
        npm: "@ai-sdk/openai-compatible",
        name: "cortex",
        options: { baseURL: `${url}/v1`, apiKey: "cortex" },
        models: { [model]: { name: model, limit: { context, output } } },
      },
    },
    model: `cortex/${model}`,
  };
}

function exports(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`)
    .join("\n");
}

function toJson(settings: object): string {
  return JSON.stringify(settings, null, 2);
}
