import type { ClientDialect } from "../../translate/dialects.ts";

/** What a request of the data plane asks for; a label of the metrics. */
export type EndpointName =
  | "chat"
  | "messages"
  | "responses"
  | "completions"
  | "embeddings"
  | "rerank"
  | "count_tokens";

/** A route of the data plane. */
export interface Endpoint {
  readonly name: EndpointName;
  readonly route: string;
  /** In what its errors are told. */
  readonly dialect: ClientDialect;
}

const ALL: readonly Endpoint[] = [
  { name: "chat", route: "/v1/chat/completions", dialect: "chat" },
  { name: "messages", route: "/v1/messages", dialect: "messages" },
  { name: "responses", route: "/v1/responses", dialect: "responses" },
  { name: "completions", route: "/v1/completions", dialect: "chat" },
  { name: "embeddings", route: "/v1/embeddings", dialect: "chat" },
  { name: "rerank", route: "/v1/rerank", dialect: "chat" },
  { name: "count_tokens", route: "/v1/messages/count_tokens", dialect: "messages" },
];

/** Every route of the data plane by its path, also as clients ask whose base URL was given without the /v1. */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map(
  ALL.flatMap((endpoint) => [
    [endpoint.route, endpoint],
    [endpoint.route.slice("/v1".length), endpoint],
  ]),
);

/** The dialect in which errors at a path are told, whether the path exists or not. */
export function dialectOf(path: string): ClientDialect {
  const known = ENDPOINTS.get(path);
  if (known !== undefined) return known.dialect;
  const rest = path.startsWith("/v1/") ? path.slice("/v1".length) : path;
  if (rest.startsWith("/messages")) return "messages";
  return rest.startsWith("/responses") ? "responses" : "chat";
}
