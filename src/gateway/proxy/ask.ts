import type { ByteSpan } from "../../base/byte-span.ts";
import type { KnownPrompt } from "../prefix/known-prompt.ts";
import type { DestinationRequest } from "./destination.ts";
import type { Endpoint } from "./endpoints.ts";
import type { RequestTrace } from "./request-trace.ts";

/** What is asked, in the client's words. */
export interface Ask {
  readonly endpoint: Endpoint;
  readonly body: ByteSpan;
  /** The model as the client called it. */
  readonly model: string;
  /** The model as the fleet calls it. */
  readonly source: string;
  readonly promptTokens: number;
  /** What is known of its prompt. */
  readonly prompt: KnownPrompt;
  readonly requestId: string;
  /** Header lines of the client that an API of its own dialect gets, too. */
  readonly forwarded: string;
  /** The header line that tells neurons how urgent it is. */
  readonly priority: string;
  /** Tells upstreams, and whoever looks at traces, of its way. */
  readonly trace: RequestTrace;
}

/** A client's request, read and resolved. */
export interface ExchangeRequest extends Ask, DestinationRequest {
  readonly stream: boolean;
  /** Which program asks, as it calls itself. */
  readonly client: string;
  readonly startMs: number;
}
