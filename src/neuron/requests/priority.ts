import { SERVICE_TIERS } from "../../protocol/openai/chat-fields.ts";
import {
  AGE_HEADER,
  AGE_MS_MAX,
  PRIORITIES,
  PRIORITY_HEADER,
  type Priority,
} from "../../protocol/priority.ts";
import { invalid, showValue } from "./json-body.ts";

/** What OpenAI's `service_tier` means here. */
const TIER_CLASSES: Readonly<Record<(typeof SERVICE_TIERS)[number], Priority>> = {
  auto: "normal",
  default: "normal",
  scale: "normal",
  flex: "batch",
  priority: "interactive",
};

/**
 * By how much older than it is a request counts where requests wait for a slot. Ages do not change against each other,
 * so that a batch request is passed by what comes within two minutes after it (an interactive one's half minute more),
 * and then by nobody.
 */
const AGE_MS: Readonly<Record<Priority, number>> = {
  interactive: 30_000,
  normal: 0,
  batch: -120_000,
};

/** A request's class: by the header, else by the body's checked tier. @throws CortexError for a header that is none */
export function readPriority(header: string | null, tier: unknown): Priority {
  if (header !== null) {
    const given = PRIORITIES.find((priority) => priority === header.trim().toLowerCase());
    if (given !== undefined) return given;
    throw invalid(
      PRIORITY_HEADER,
      `Header '${PRIORITY_HEADER}' is ${showValue(header)}, must be one of ${PRIORITIES.join(", ")}`,
    );
  }
  const known = SERVICE_TIERS.find((name) => name === tier);
  return known === undefined ? "normal" : TIER_CLASSES[known];
}

/** What a request has waited elsewhere, in milliseconds. @throws CortexError for a header that is no such number */
export function readAge(header: string | null): number {
  if (header === null) return 0;
  const ageMs = /^[0-9]{1,9}$/.test(header) ? Number(header) : Number.NaN;
  if (ageMs <= AGE_MS_MAX) return ageMs;
  throw invalid(
    AGE_HEADER,
    `Header '${AGE_HEADER}' is ${showValue(header)}, must be 0 to ${AGE_MS_MAX} milliseconds`,
  );
}

/** For the engine's `queue_age_ms`, and for whoever foresees its order. */
export function queueAgeMs(priority: Priority): number {
  return AGE_MS[priority];
}
