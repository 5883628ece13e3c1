/** Where a request may say how urgent it is; goes before `service_tier` of its body. */
export const PRIORITY_HEADER = "x-cortex-priority";

/** Classes of urgency, the most urgent first. */
export const PRIORITIES = ["interactive", "normal", "batch"] as const;
export type Priority = (typeof PRIORITIES)[number];
