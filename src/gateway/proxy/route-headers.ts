import type { RouteChoice } from "../router/router.ts";

/** What a debug header may hold of field names. */
const DROPPED_CHARACTERS_MAX = 512;

/** Header lines that every answer carries: the request's id, where it went and why, and what was let go of it. */
export function formatRoute(
  requestId: string,
  choice: RouteChoice | undefined,
  dropped: readonly string[] | undefined,
): string {
  const id = `X-Request-Id: ${requestId}\r\nRequest-Id: ${requestId}\r\n`;
  if (choice === undefined) return id;
  const route = `${id}X-Cortex-Route: neuron=${choice.neuron}; reason=${choice.reason}\r\n`;
  if (dropped === undefined || dropped.length === 0) return route;
  return `${route}X-Cortex-Dropped: ${dropped.join(", ").slice(0, DROPPED_CHARACTERS_MAX)}\r\n`;
}
