import { CortexError } from "../../base/errors.ts";
import { HeaderLines } from "../../base/header-lines.ts";
import type { FollowRequest } from "../dashboard/event-stream.ts";
import type { ClientRequest } from "../listener/reply.ts";

/**
 * From where a client wants the log: the header Last-Event-ID, and `?follow=false` for what is remembered alone.
 * @throws CortexError invalid_request for another value of `follow`
 */
export function readFollowRequest({ target, headerLines }: ClientRequest): FollowRequest {
  const follow = new URL(target, "http://gateway").searchParams.get("follow") ?? "true";
  if (follow !== "true" && follow !== "false") {
    const text = `Query: 'follow' is ${JSON.stringify(follow.slice(0, 64))}, must be true or false`;
    throw new CortexError("invalid_request", text, { param: "follow" });
  }
  let lastEventId: string | undefined;
  const lines = new HeaderLines(headerLines);
  while (lines.next()) if (lines.is("last-event-id")) lastEventId = lines.text();
  return { lastEventId, follow: follow === "true" };
}
