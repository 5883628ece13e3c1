import { listModels } from "../upstream/list-models.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { PollLoop, type PollParts } from "./poll-loop.ts";

/** A list of models comes from across the internet. */
const POLL_TIMEOUT_MS = 10_000;
/** Requests show sooner than any poll that an API is in trouble; this finds new models and a way back. */
const POLL_MS = 30_000;
/** While it is down: soon for a server that restarts, seldom for a provider with an outage. */
const BACKOFF_MS_FIRST = 250;
const BACKOFF_MS_MAX = 10_000;
/** An API that limits requests must not be asked for its models with each one that it refuses. */
const WAKE_MS = 5_000;

/** Watches one API: asks for its models now and then, and tells the fleet. */
export function createApiPoller(upstream: Upstream, parts: PollParts): PollLoop {
  const { name } = upstream;
  return new PollLoop({
    ...parts,
    name,
    wakeMs: WAKE_MS,
    ask: async (signal) => {
      parts.fleet.applyModels(
        name,
        await listModels(upstream, { timeoutMs: POLL_TIMEOUT_MS, signal }),
      );
    },
    pauseMs: (failures) =>
      failures === 0
        ? POLL_MS
        : Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** Math.min(10, failures - 1)),
  });
}
