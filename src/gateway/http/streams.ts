import { FEED_PATH } from "./dashboard.ts";

/** Where the gateway's log is followed, and where that of a neuron is. */
export const EVENTS_PATH = "/admin/events";
export const NEURON_LOG_PATH = "/admin/logs";

/**
 * What is answered with a stream that stays open. Such routes pass the framework by, which would collect the whole
 * stream before it sends any of it.
 */
export const STREAM_PATHS = [FEED_PATH, EVENTS_PATH, NEURON_LOG_PATH] as const;
export type StreamPath = (typeof STREAM_PATHS)[number];

/** Whether a path is one of {@link STREAM_PATHS}. */
export function isStreamPath(path: string): path is StreamPath {
  return STREAM_PATHS.some((known) => known === path);
}
