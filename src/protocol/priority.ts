/** Where a request may say how urgent it is; goes before `service_tier` of its body. */
export const PRIORITY_HEADER = "x-cortex-priority";

/**
 * Milliseconds that a request has waited elsewhere already: a gateway that asks again says so, or the request would
 * begin at the end of every queue that it comes to.
 */
export const AGE_HEADER = "x-cortex-age-ms";
/** Nobody waits longer for an answer to begin. */
export const AGE_MS_MAX = 600_000;

/** Classes of urgency, the most urgent first. */
export const PRIORITIES = ["interactive", "normal", "batch"] as const;
export type Priority = (typeof PRIORITIES)[number];
