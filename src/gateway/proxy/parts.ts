import type { Clock } from "../../base/clock.ts";
import type { CortexError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { GatewayMetrics } from "../../metrics/gateway-metrics.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import type { ClientDialect } from "../../translate/dialects.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Reply } from "../listener/reply.ts";
import type { ColdLoads } from "../loads/cold-loads.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { AnswerMemory } from "./answer-memory.ts";
import type { RequestObserver } from "./ended-request.ts";
import type { LiveRequests } from "./live-requests.ts";
import type { RecentRequests } from "./recent-requests.ts";
import type { RetryBudget } from "./retry-budget.ts";

/** Who is told of an error, and in which answer. */
export interface ErrorAddress {
  readonly dialect: ClientDialect;
  readonly requestId: string;
}

/** How errors are told; the one place for it is http/errors.ts. */
export interface ErrorFormats {
  readonly statusOf: (error: CortexError, dialect: ClientDialect) => number;
  /** The error as the whole answer. */
  readonly send: (reply: Reply, error: CortexError, address: ErrorAddress) => void;
  /** The error as the last event of a stream. */
  readonly formatEvent: (error: CortexError, address: ErrorAddress) => string;
}

/** What the data plane works with. */
export interface DataPlaneParts {
  readonly fleet: Fleet;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly loads: ColdLoads;
  readonly metrics: GatewayMetrics;
  readonly requests: RequestObserver;
  /** Those that are under way. */
  readonly live: LiveRequests;
  /** What was decided about them and those before. */
  readonly recent: RecentRequests;
  readonly memory: AnswerMemory;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly retries: RetryBudget;
  readonly queueMax: number;
  readonly keepaliveMs: number;
  /** Asks for a poll of a neuron that behaved oddly. */
  readonly poke: (neuron: string) => void;
  readonly errors: ErrorFormats;
  readonly log: Log;
  /** Absent where no traces are made. */
  readonly tracer?: Tracer | undefined;
}
