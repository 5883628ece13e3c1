import { VERSION } from "../../base/version.ts";
import type { NeuronConfig } from "../../config/gateway-schema.ts";
import type { UpstreamKind } from "../../translate/dialects.ts";
import type { Origin } from "./connection.ts";
import { HttpOrigin } from "./http-origin.ts";

/** A model of an API's configuration, its names sorted out. */
export interface ListedModel {
  /** As the API calls it. */
  readonly id: string;
  /** As the fleet calls it. */
  readonly name: string;
  readonly context: number | undefined;
}

/** The parts of an endpoint. */
export interface UpstreamAddress {
  /** Scheme, host and port, without a path. */
  readonly origin: string;
  readonly host: string;
  readonly port: number;
}

/** What Anthropic's API is asked for where the client names no version of its own. */
export const ANTHROPIC_VERSION = "2023-06-01";

/** APIs take many requests at once and do not say how many; this is what routes are compared with. */
const SLOTS_GUESS = 64;

/**
 * One entry of `[[neurons]]`: its address, what it speaks, and what every request to it carries. Owner of its pool of
 * connections. Holds the API's key, which is sent to no other host.
 */
export class Upstream {
  readonly name: string;
  readonly kind: UpstreamKind;
  readonly origin: Origin;
  /** The API's models when the configuration lists them. */
  readonly listed: readonly ListedModel[] | undefined;
  /** Requests that it is taken to serve at once. */
  readonly slots: number;
  /** Lines that every request to it carries besides those of the origin. */
  readonly headerLines: string;
  /** Where it is, for those who tell of calls to it. */
  readonly address: UpstreamAddress;
  readonly #prefix: string;
  readonly #ids: ReadonlyMap<string, string>;

  /**
   * `secret` is the token of a neuron or the key of an API; `origin` stands in for the network.
   */
  constructor(
    config: NeuronConfig,
    secret: string | undefined,
    options: { readonly origin?: Origin } = {},
  ) {
    const { name, kind, endpoint, models, concurrency_max } = config;
    this.name = name;
    this.kind = kind;
    this.listed = models?.map(readListed);
    this.slots = concurrency_max ?? SLOTS_GUESS;
    this.#ids = new Map(this.listed?.map((model) => [model.name, model.id]));
    this.#prefix = prefixOf(kind, endpoint);
    this.address = readAddress(endpoint);
    this.headerLines = kind === "neuron" ? "" : formatKey(kind, secret);
    const token = kind === "neuron" ? secret : undefined;
    this.origin = options.origin ?? new HttpOrigin({ endpoint, token });
  }

  /** Where a route such as /v1/models lies at this endpoint. */
  pathOf(route: string): string {
    return this.kind === "neuron" ? route : this.#prefix + route.slice("/v1".length);
  }

  /** What the upstream itself calls a model of the fleet. */
  idOf(source: string): string {
    return this.#ids.get(source) ?? source;
  }
}

function readAddress(endpoint: string): UpstreamAddress {
  const { origin, hostname, port, protocol } = new URL(endpoint);
  const usual = protocol === "https:" ? 443 : 80;
  const host = hostname.replace(/^\[|\]$/g, "");
  return { origin, host, port: port === "" ? usual : Number(port) };
}

function readListed(model: NonNullable<NeuronConfig["models"]>[number]): ListedModel {
  if (typeof model === "string") return { id: model, name: model, context: undefined };
  return { id: model.id, name: model.name ?? model.id, context: model.context };
}

/**
 * What stands before /models. An endpoint is what the API's own SDK takes as base URL: OpenAI's holds the /v1,
 * Anthropic's does not. Either is understood both ways; another path, as proxies have them, is kept.
 */
function prefixOf(kind: UpstreamKind, endpoint: string): string {
  const path = new URL(endpoint).pathname.replace(/\/+$/, "");
  if (kind === "anthropic") return path.endsWith("/v1") ? path : `${path}/v1`;
  return path === "" ? "/v1" : path;
}

function formatKey(kind: UpstreamKind, key: string | undefined): string {
  const agent = `User-Agent: cortex/${VERSION}\r\nAccept-Encoding: identity\r\n`;
  if (key === undefined) return agent;
  const line = kind === "anthropic" ? `X-Api-Key: ${key}` : `Authorization: Bearer ${key}`;
  return `${agent}${line}\r\n`;
}
