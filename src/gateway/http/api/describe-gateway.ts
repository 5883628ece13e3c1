import type { ApiRoute } from "../../../api-docs/api-route.ts";
import { describeApi } from "../../../api-docs/describe-api.ts";
import { ANTHROPIC_ENVELOPE, OPENAI_ENVELOPE } from "../../../api-docs/envelopes.ts";
import { NAMED_SCHEMAS } from "../../../api-docs/named-schemas.ts";
import { VERSION } from "../../../base/version.ts";
import { CatalogueModelSchema } from "../../../protocol/model-list.ts";
import {
  ModelStatusSchema,
  NeuronStatusSchema,
  ReplicaStatusSchema,
} from "../../../protocol/status.ts";
import { OutputItemSchema, ResponseSchema } from "../../../translate/responses/answer-schemas.ts";
import { METRICS_PATH } from "../metrics.ts";
import { GATEWAY_FACTS } from "./gateway-facts.ts";
import type { ServedRoute } from "./served-routes.ts";

const DESCRIPTION = `One endpoint in front of a fleet of neurons, in the words of OpenAI and of Anthropic.

- The paths of the data plane are served without their \`/v1\`, too; a \`HEAD\` is answered like a \`GET\`.
- Every answer carries \`x-request-id\`, that of the client where it sent one, and \`request-id\`; what a model
  answered also \`x-cortex-route\`: which neuron, and why.
- Errors come in the envelope of the path's dialect; those of \`/v1/models\` follow the header \`anthropic-version\`.
  A refusal that may pass has \`retry-after\`. A path that there is not is 404 \`route_not_found\`, another method of
  one that there is 405 \`method_not_allowed\`.
- After the first byte of a stream a failure is an event, and the stream has no proper end.
- \`x-cortex-examples\` of an operation are requests that can be sent as they stand, with the error that comes where
  they are refused.`;

const TAGS = {
  openai: "As clients of OpenAI ask",
  anthropic: "As clients of Anthropic ask",
  admin: "What an operator asks",
  gateway: "The gateway itself",
};

/** The OpenAPI document of the routes that are served. */
export function describeGateway(served: readonly ServedRoute[]): object {
  const routes = served.flatMap((route): ApiRoute[] => {
    const facts = GATEWAY_FACTS[`${route.method} ${route.path}`];
    if (facts === undefined) return [];
    const envelope = facts.tag === "anthropic" ? "Anthropic" : "OpenAI";
    const place = route.path === METRICS_PATH ? { server: "http://localhost:31314" } : {};
    return [{ ...facts, ...route, envelope, ...place }];
  });
  return describeApi({
    ...{ title: "cortex", version: VERSION, description: DESCRIPTION, tags: TAGS, routes },
    envelopes: { OpenAI: OPENAI_ENVELOPE, Anthropic: ANTHROPIC_ENVELOPE },
    schemas: {
      ...NAMED_SCHEMAS,
      CatalogueModel: CatalogueModelSchema,
      ModelStatus: ModelStatusSchema,
      NeuronStatus: NeuronStatusSchema,
      OutputItem: OutputItemSchema,
      ReplicaStatus: ReplicaStatusSchema,
      Response: ResponseSchema,
    },
    takesToken: false,
  });
}
