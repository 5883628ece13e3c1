import { ensureClients } from "../../../scripts/testing/ensure-clients.ts";
import { type ClientOptions, type ClientRun, runClient } from "./client-process.ts";
import { isObject, type JsonObject } from "./script.ts";

/** A run of Claude Code and what it reports of itself. */
export interface ClaudeCodeRun extends ClientRun {
  /** The one JSON object that it prints. */
  readonly report: JsonObject;
}

/** `claude -p` against an Anthropic endpoint. */
export async function runClaudeCode(
  options: ClientOptions & {
    /** Which header carries the key. */
    readonly auth?: "authorization" | "x-api-key";
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<ClaudeCodeRun> {
  const { endpoint, key, model, prompt, auth = "authorization" } = options;
  const clients = await ensureClients();
  const run = await runClient(
    [
      ...clients.claudeCode,
      "-p",
      prompt,
      "--model",
      model,
      "--output-format",
      "json",
      "--dangerously-skip-permissions",
    ],
    {
      ...options,
      env: {
        ANTHROPIC_BASE_URL: endpoint,
        [auth === "x-api-key" ? "ANTHROPIC_API_KEY" : "ANTHROPIC_AUTH_TOKEN"]: key,
        // Titles and other small things are asked of the same model.
        ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
        ANTHROPIC_DEFAULT_SONNET_MODEL: model,
        ANTHROPIC_DEFAULT_OPUS_MODEL: model,
        CLAUDE_CODE_SUBAGENT_MODEL: model,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        // Its ten attempts would outlast a test.
        CLAUDE_CODE_MAX_RETRIES: "3",
        DISABLE_TELEMETRY: "1",
        DISABLE_ERROR_REPORTING: "1",
        DISABLE_AUTOUPDATER: "1",
        CLAUDE_CODE_TMPDIR: options.place.temporary,
        // Permissions may be skipped by root only where it is said to be shut in.
        IS_SANDBOX: "1",
        ...options.env,
      },
    },
  );
  return { ...run, report: parseReport(run) };
}

function parseReport(run: ClientRun): JsonObject {
  try {
    const report: unknown = JSON.parse(run.stdout);
    if (isObject(report)) return report;
  } catch (error) {
    throw new Error(`Claude Code ended with ${run.code}:\n${run.stdout}\n${run.stderr}`, {
      cause: error,
    });
  }
  throw new Error(`Claude Code printed no object:\n${run.stdout}`);
}
