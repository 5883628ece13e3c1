import type { KnownPrompt } from "../prefix/known-prompt.ts";
import type { RouteChoice } from "../router/router.ts";
import type { EndpointName } from "./endpoints.ts";

/** How a request of the data plane ended. Nothing of what was said is in it. */
export interface RequestEnd {
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

/** A request and its end, for those who tell of requests. */
export interface EndedRequest {
  readonly requestId: string;
  /** Undefined for what could not be read as far as that. */
  readonly endpoint: EndpointName | undefined;
  /** What was asked for; undefined where the fleet has no such model. */
  readonly asked: AskedModel | undefined;
  /** Where it went; undefined where it went nowhere. */
  readonly choice: RouteChoice | undefined;
  readonly end: RequestEnd;
}

/** The model of a request, and what is known of its prompt. */
export interface AskedModel {
  /** As the fleet has it. */
  readonly entry: { readonly id: string };
  /** As the client called it. */
  readonly model: string;
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
