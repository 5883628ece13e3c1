import type { KnownPrompt } from "../prefix/known-prompt.ts";
import type { RouteReason } from "../router/router.ts";
import type { EndpointName } from "./endpoints.ts";

/** How one request of the data plane went. Nothing of what was said is in it. */
export interface EndedRequest {
  readonly requestId: string;
  /** Undefined for what could not be read as far as that. */
  readonly endpoint: EndpointName | undefined;
  /** What was asked for; undefined where the fleet has no such model. */
  readonly asked: AskedModel | undefined;
  readonly neuron: string | undefined;
  readonly reason: RouteReason | undefined;
  /** As it was or would have been answered; 499 for a client that left. */
  readonly status: number;
  /** `ok`, or the code of the error with which it ended. */
  readonly outcome: string;
  readonly seconds: number;
  readonly ttftSeconds: number | undefined;
  readonly tokensPerSecond: number | undefined;
  /** Estimated where nobody counted. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

/** The model of a request, and what is known of its prompt. */
export interface AskedModel {
  /** As the fleet calls it. */
  readonly id: string;
  /** As the client called it. */
  readonly name: string;
  readonly stream: boolean;
  readonly prompt: KnownPrompt;
}

/** Who is told of every request once it has ended. */
export interface RequestObserver {
  /** Whether prompts are looked at also where routing does not need it. */
  readonly wantsPrompts: boolean;
  note(ended: EndedRequest): void;
}

/** Tells nobody. */
export const UNOBSERVED: RequestObserver = { wantsPrompts: false, note: () => undefined };
