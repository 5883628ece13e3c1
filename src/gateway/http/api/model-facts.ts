import type { ApiFacts } from "../../../api-docs/api-route.ts";
import { CHAT_ROUTE } from "../../../api-docs/routes/chat-route.ts";
import { COUNT_TOKENS_ROUTE, MESSAGES_ROUTE } from "../../../api-docs/routes/messages-routes.ts";
import { RESPONSES_ROUTE } from "../../../api-docs/routes/responses-route.ts";
import {
  COMPLETIONS_ROUTE,
  EMBEDDINGS_ROUTE,
  RERANK_ROUTE,
} from "../../../api-docs/routes/text-routes.ts";
import { words } from "../../../protocol/openai/request-schema.ts";
import { PRIORITIES, PRIORITY_HEADER } from "../../../protocol/priority.ts";
import { ENDPOINTS, type EndpointName } from "../../proxy/endpoints.ts";

const ROUTES: Readonly<Record<EndpointName, ApiFacts>> = {
  chat: CHAT_ROUTE,
  completions: COMPLETIONS_ROUTE,
  embeddings: EMBEDDINGS_ROUTE,
  rerank: RERANK_ROUTE,
  responses: RESPONSES_ROUTE,
  messages: MESSAGES_ROUTE,
  count_tokens: COUNT_TOKENS_ROUTE,
};

const PRIORITY = {
  name: PRIORITY_HEADER,
  in: "header",
  description: "How urgent the request is where it has to wait. Default normal",
  schema: words(...PRIORITIES),
} as const;

/** Requests that a model answers. */
export const MODEL_FACTS: Readonly<Record<string, ApiFacts>> = Object.fromEntries(
  [...new Set(ENDPOINTS.values())].map(({ name, route }) => [
    `POST ${route}`,
    { ...ROUTES[name], parameters: [PRIORITY] },
  ]),
);
