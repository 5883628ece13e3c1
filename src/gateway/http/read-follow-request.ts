import { HeaderLines } from "../../base/header-lines.ts";
import { readFollow } from "../../kept-log/follow-request.ts";
import type { ClientRequest } from "../listener/reply.ts";
import type { NeuronLogRequest } from "../operations/neuron-logs.ts";

/**
 * From where a client wants a log: the header Last-Event-ID, and `?follow=false` for what is remembered alone; and
 * whose, where `?neuron=` names it.
 * @throws CortexError invalid_request for another value of `follow`
 */
export function readFollowRequest({ target, headerLines }: ClientRequest): NeuronLogRequest {
  const { searchParams } = new URL(target, "http://gateway");
  let lastEventId: string | undefined;
  const lines = new HeaderLines(headerLines);
  while (lines.next()) if (lines.is("last-event-id")) lastEventId = lines.text();
  const neuron = searchParams.get("neuron") ?? undefined;
  return { neuron, lastEventId, follow: readFollow(searchParams) };
}
