import type { ApiFacts } from "../../../api-docs/api-route.ts";
import { COMMON_ERRORS } from "../../../api-docs/routes/errors.ts";
import { CHAT_MODEL, NO_MODEL } from "../../../api-docs/routes/example-values.ts";
import type { ErrorCode } from "../../../base/errors.ts";
import { AdminDrainResponseSchema } from "../../../protocol/drains.ts";
import { words } from "../../../protocol/openai/request-schema.ts";
import { AdminRemoveResponseSchema } from "../../../protocol/removals.ts";
import {
  AdminLoadResponseSchema,
  AdminPlanResponseSchema,
  AdminUnloadResponseSchema,
  StatusSchema,
} from "../../../protocol/status.ts";

const ERRORS: readonly ErrorCode[] = [...COMMON_ERRORS, "forbidden", "body_too_large"];
const NEURON_ERRORS: readonly ErrorCode[] = [...ERRORS, "unavailable", "neuron_failed", "timeout"];
const MODEL_ERRORS: readonly ErrorCode[] = [...NEURON_ERRORS, "model_not_found", "conflict"];

const LOCAL = "Answers to the gateway's own machine alone.";
const NEURON = "gpu-1";

/** What an operator asks; the bodies are those that the routes themselves check. */
export const ADMIN_FACTS: Readonly<Record<string, ApiFacts>> = {
  "GET /admin/status": {
    tag: "admin",
    summary: "Neurons, devices and models",
    parameters: [
      {
        name: "models",
        in: "query",
        description: "loaded leaves out what is only a file on a disk",
        schema: words("loaded"),
      },
    ],
    answer: StatusSchema,
    errors: COMMON_ERRORS,
    examples: [
      { name: "all", summary: "All of it" },
      { name: "loaded", summary: "What is in memory", query: { models: "loaded" } },
    ],
  },
  "POST /admin/load": {
    tag: "admin",
    summary: "Loads a model and answers when it is ready",
    description: LOCAL,
    answer: AdminLoadResponseSchema,
    errors: [...MODEL_ERRORS, "load_failed", "does_not_fit"],
    examples: [
      { name: "somewhere", summary: "Where it fits best", body: { model: CHAT_MODEL } },
      {
        name: "unknown-model",
        summary: "A model that nobody has",
        body: { model: NO_MODEL },
        error: "model_not_found",
      },
      {
        name: "no-slots",
        summary: "A value beyond its limits",
        body: { model: CHAT_MODEL, slots: 0 },
        error: "invalid_request",
      },
    ],
  },
  "POST /admin/plan": {
    tag: "admin",
    summary: "What the router would do with a request now, and why; changes nothing",
    description: `Takes a client's request as it is: the prompt is then looked for in what caches hold. ${LOCAL}`,
    answer: AdminPlanResponseSchema,
    errors: MODEL_ERRORS,
    examples: [
      {
        name: "long-prompt",
        summary: "With a long prompt",
        body: { model: CHAT_MODEL, prompt_tokens: 4000 },
      },
      {
        name: "prompt",
        summary: "With a conversation and its session",
        body: {
          model: CHAT_MODEL,
          messages: [{ role: "user", content: "Name three colours" }],
          session: "s-1",
        },
      },
      {
        name: "two-sizes",
        summary: "A prompt that is told twice",
        body: { model: CHAT_MODEL, prompt: "Once upon", prompt_tokens: 4000 },
        error: "invalid_request",
      },
      {
        name: "unknown-model",
        summary: "A model that nobody has",
        body: { model: NO_MODEL },
        error: "model_not_found",
      },
    ],
  },
  "POST /admin/unload": {
    tag: "admin",
    summary: "Lets a model's requests end and frees its memory",
    description: LOCAL,
    answer: AdminUnloadResponseSchema,
    errors: MODEL_ERRORS,
    examples: [
      {
        name: "at-once",
        summary: "Without waiting for requests",
        body: { model: CHAT_MODEL, drain_seconds: 0 },
      },
      {
        name: "unknown-model",
        summary: "A model that nobody has",
        body: { model: NO_MODEL },
        error: "model_not_found",
      },
    ],
  },
  "POST /admin/remove": {
    tag: "admin",
    summary: "Removes a pulled model's files from a neuron",
    description: LOCAL,
    answer: AdminRemoveResponseSchema,
    errors: [...MODEL_ERRORS, "unsupported"],
    examples: [
      {
        name: "dry-run",
        summary: "What would go, where the neuron's [supply] remove is not switched on",
        body: { model: CHAT_MODEL, dry_run: true },
        error: "forbidden",
      },
      {
        name: "unknown-model",
        summary: "A model that nobody has",
        body: { model: NO_MODEL },
        error: "model_not_found",
      },
    ],
  },
  "POST /admin/drain": {
    tag: "admin",
    summary: "Takes a neuron out without breaking a stream",
    description: LOCAL,
    answer: AdminDrainResponseSchema,
    errors: NEURON_ERRORS,
    examples: [
      { name: "dry-run", summary: "What would go where", body: { neuron: NEURON, dry_run: true } },
      { name: "begin", summary: "Answers at once", body: { neuron: NEURON } },
      {
        name: "unknown-neuron",
        summary: "A neuron that is not configured",
        body: { neuron: "nowhere" },
        error: "invalid_request",
      },
    ],
  },
  "POST /admin/undrain": {
    tag: "admin",
    summary: "Lets a drained neuron take requests again",
    description: LOCAL,
    answer: AdminDrainResponseSchema,
    errors: NEURON_ERRORS,
    examples: [{ name: "back", summary: "At once", body: { neuron: NEURON } }],
  },
};
