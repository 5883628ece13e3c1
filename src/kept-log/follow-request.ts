import { CortexError } from "../base/errors.ts";

/** From where a reader wants the log. */
export interface FollowRequest {
  /** The id of the last line that it has. */
  readonly lastEventId: string | undefined;
  /** Whether it wants what comes later, too. */
  readonly follow: boolean;
}

/**
 * Whether the stream goes on after what is remembered, which `?follow=false` ends it behind.
 * @throws CortexError invalid_request for another value
 */
export function readFollow(query: URLSearchParams): boolean {
  const follow = query.get("follow") ?? "true";
  if (follow === "true" || follow === "false") return follow === "true";
  const text = `Query: 'follow' is ${JSON.stringify(follow.slice(0, 64))}, must be true or false`;
  throw new CortexError("invalid_request", text, { param: "follow" });
}
