import { Type as t } from "@sinclair/typebox";
import type { ApiExample, ApiFacts } from "../../api-docs/api-route.ts";
import { COMMON_ERRORS } from "../../api-docs/routes/errors.ts";
import { CHAT_MODEL, NO_MODEL } from "../../api-docs/routes/example-values.ts";
import type { ErrorCode } from "../../base/errors.ts";
import { LeaseRequestSchema, LeaseResponseSchema } from "../../protocol/leases.ts";
import {
  LoadRequestSchema,
  LoadResponseSchema,
  ModelListSchema,
  PlanRequestSchema,
  PlanResponseSchema,
  UnloadRequestSchema,
  UnloadResponseSchema,
} from "../../protocol/models.ts";

type Facts = Omit<ApiFacts, "tag" | "summary">;

const ERRORS: readonly ErrorCode[] = [
  ...COMMON_ERRORS,
  "model_not_found",
  "body_too_large",
  "conflict",
  "timeout",
];

const PLACING_ERRORS: readonly ErrorCode[] = [
  ...ERRORS,
  "unavailable",
  "load_failed",
  "model_poisoned",
  "does_not_fit",
];

const UNKNOWN: ApiExample = {
  name: "unknown-model",
  summary: "A model that there is not",
  body: { model: NO_MODEL },
  error: "model_not_found",
};

/** POST /models/load */
export const LOAD_FACTS: Facts = {
  body: LoadRequestSchema,
  answer: LoadResponseSchema,
  others: [
    { status: 202, description: "Its memory is taken, and it loads", schema: LoadResponseSchema },
  ],
  errors: PLACING_ERRORS,
  examples: [
    { name: "wait", summary: "Answers when it is ready", body: { model: CHAT_MODEL } },
    {
      name: "no-wait",
      summary: "Answers once its memory is taken",
      body: { model: CHAT_MODEL, wait: false },
    },
    UNKNOWN,
    {
      name: "no-slots",
      summary: "A value beyond its limits",
      body: { model: CHAT_MODEL, slots: 0 },
      error: "invalid_request",
    },
  ],
};

/** POST /models/plan */
export const PLAN_FACTS: Facts = {
  body: PlanRequestSchema,
  answer: PlanResponseSchema,
  errors: PLACING_ERRORS,
  examples: [
    {
      name: "context",
      summary: "With a context of its own",
      body: { model: CHAT_MODEL, context: 1024 },
    },
    UNKNOWN,
  ],
};

/** POST /models/unload */
export const UNLOAD_FACTS: Facts = {
  body: UnloadRequestSchema,
  answer: UnloadResponseSchema,
  errors: [...ERRORS, "unavailable"],
  examples: [
    {
      name: "at-once",
      summary: "Without waiting for requests",
      body: { model: CHAT_MODEL, drain_seconds: 0 },
    },
    UNKNOWN,
  ],
};

/** POST /models/leases */
export const LEASE_FACTS: Facts = {
  body: LeaseRequestSchema,
  answer: LeaseResponseSchema,
  errors: [...COMMON_ERRORS, "body_too_large", "queue_full", "timeout"],
  examples: [
    {
      name: "one",
      summary: "A request waits for a model, another for one that there is not",
      body: { holder: "gateway-1", seconds: 5, leases: { [CHAT_MODEL]: 1, [NO_MODEL]: 1 } },
    },
    {
      name: "give-back",
      summary: "None waits any more",
      body: { holder: "gateway-1", seconds: 5, leases: {} },
    },
    {
      name: "no-name",
      summary: "A holder without a name",
      body: { holder: "", seconds: 5, leases: {} },
      error: "invalid_request",
    },
  ],
};

/** GET /models */
export const LIST_FACTS: Facts = {
  answer: ModelListSchema,
  parameters: [
    {
      name: "if-none-match",
      in: "header",
      description: "The etag of an answer that the caller still has",
      schema: t.String(),
    },
  ],
  others: [{ status: 304, description: "Nothing has changed" }],
  errors: ["internal"],
  examples: [
    { name: "all", summary: "All of them" },
    {
      name: "unchanged",
      summary: "Any content will do: 304 without a body",
      headers: { "if-none-match": "*" },
    },
  ],
};

/** One model by its name in the path. */
export const ONE_FACTS: Facts = {
  errors: ["internal", "model_not_found"],
  examples: [
    { name: "one", summary: "A model", path: { id: CHAT_MODEL } },
    {
      name: "unknown-model",
      summary: "A model that there is not",
      path: { id: NO_MODEL },
      error: "model_not_found",
    },
  ],
};
