import type { RouteReason } from "../router/router.ts";
import type { EndpointName } from "./endpoints.ts";

/** What a request that is under way is doing; nothing of what is said is in it. Times are of the monotonic clock. */
export interface LiveView {
  readonly model: string;
  readonly endpoint: EndpointName;
  readonly neuron: string | undefined;
  readonly reason: RouteReason | undefined;
  /** loading: it waits for the model. reading: the neuron has it and said nothing yet. */
  readonly phase: "routing" | "loading" | "reading" | "answering";
  readonly stream: boolean;
  readonly startMs: number;
  /** 0 before. */
  readonly firstByteMs: number;
  /** Sent so far, as far as known. */
  readonly tokens: number;
}

/** A request that can say how it is. */
export interface LiveRequest {
  describe(): LiveView;
  /**
   * Gives the neuron up when the request is there and nothing came from it since the last call of this. Returns
   * whether it did.
   */
  endIfSilent(neuron: string, cause: string): boolean;
}

/** The requests that are under way, the oldest first; they come and go by themselves. */
export class LiveRequests {
  readonly #numbers = new Map<LiveRequest, number>();
  #last = 0;

  get count(): number {
    return this.#numbers.size;
  }

  /** Each with its number in this gateway. */
  get all(): Iterable<readonly [request: LiveRequest, number: number]> {
    return this.#numbers;
  }

  add(request: LiveRequest): void {
    this.#last += 1;
    this.#numbers.set(request, this.#last);
  }

  remove(request: LiveRequest): void {
    this.#numbers.delete(request);
  }
}
