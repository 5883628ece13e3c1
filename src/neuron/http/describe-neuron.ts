import { describeApi } from "../../api-docs/describe-api.ts";
import { OPENAI_ENVELOPE } from "../../api-docs/envelopes.ts";
import { NAMED_SCHEMAS } from "../../api-docs/named-schemas.ts";
import { VERSION } from "../../base/version.ts";
import { HealthSchema } from "../../protocol/health.ts";
import { LeaseSchema } from "../../protocol/leases.ts";
import { DeviceBytesSchema, ModelSchema } from "../../protocol/models.ts";
import { PullSchema } from "../../protocol/pulls.ts";
import type { Route } from "./route.ts";

const DESCRIPTION = `The inference daemon of one host: the models that it can serve, and what changes their state.

- Where the configuration names a token, requests carry it as \`authorization: Bearer TOKEN\`; else all are refused
  with \`unauthorized\` but those for health and for these documents.
- Errors come in OpenAI's envelope. A path that there is not is 404 \`route_not_found\`, another method of one that
  there is 405 \`method_not_allowed\`.
- Requests for a model that is not loaded are refused with \`model_not_loaded\`: loading is the gateway's to decide.
- \`x-cortex-examples\` of an operation are requests that can be sent as they stand, with the error that comes where
  they are refused.`;

const TAGS = {
  neuron: "The daemon and its devices",
  models: "Models, and what brings them into memory",
  openai: "As clients of OpenAI ask",
};

/** The OpenAPI document of the routes. */
export function describeNeuron(routes: readonly Route[]): object {
  return describeApi({
    ...{ title: "cortex neuron", version: VERSION, description: DESCRIPTION, tags: TAGS },
    routes: routes.map((route) => ({
      ...route,
      envelope: "OpenAI",
      errors:
        route.isOpen === true ? (route.errors ?? []) : ["unauthorized", ...(route.errors ?? [])],
    })),
    envelopes: { OpenAI: OPENAI_ENVELOPE },
    schemas: {
      ...NAMED_SCHEMAS,
      DeviceBytes: DeviceBytesSchema,
      Health: HealthSchema,
      Lease: LeaseSchema,
      Model: ModelSchema,
      Pull: PullSchema,
    },
    takesToken: true,
  });
}
