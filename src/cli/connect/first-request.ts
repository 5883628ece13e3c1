import { systemClock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import { RequestListSchema, type RequestSummary } from "../../protocol/requests.ts";
import type { AdminClient } from "../client/admin-client.ts";
import type { ClientName } from "./client-settings.ts";

const LOOK_MS = 500;
/** Time enough to edit a settings file, and for a model to be loaded. */
const WAIT_MS_MAX = 1_800_000;

/** How each client calls itself in User-Agent. */
const NAMES: Readonly<Record<ClientName, RegExp>> = {
  "claude-code": /^claude-(cli|code)\//i,
  codex: /^codex/i,
  opencode: /opencode|ai-sdk/i,
  zed: /^zed\b/i,
  openai: /openai/i,
  anthropic: /anthropic/i,
};

/** The number of the newest request, after which one waits for a client's first. */
export async function readNewest(client: AdminClient): Promise<number> {
  return (await client.get("/admin/requests?limit=1", RequestListSchema)).newest;
}

/**
 * Waits until a request of that client, which came after the one of that number, has ended, well or not.
 * @throws CortexError timeout after half an hour
 */
export async function waitForFirstRequest(
  client: AdminClient,
  of: { readonly name: ClientName; readonly after: number },
): Promise<RequestSummary> {
  const untilMs = systemClock.monotonicMs() + WAIT_MS_MAX;
  while (systemClock.monotonicMs() < untilMs) {
    const { requests } = await client.get(
      `/admin/requests?limit=200&after=${of.after}`,
      RequestListSchema,
    );
    const first = requests.findLast((one) => isOf(one, of.name) && one.outcome !== "running");
    if (first !== undefined) return first;
    await systemClock.sleep(LOOK_MS);
  }
  throw new CortexError("timeout", `No request of ${of.name}: waited ${WAIT_MS_MAX / 1000} s`, {
    hint: "cortex logs, and the client's own settings",
  });
}

function isOf({ client = "" }: RequestSummary, name: ClientName): boolean {
  return NAMES[name].test(client);
}
