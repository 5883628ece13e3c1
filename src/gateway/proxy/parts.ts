import type { CortexError, ErrorCode } from "../../base/errors.ts";
import type { GatewayMetrics } from "../../metrics/gateway-metrics.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Reply } from "../listener/reply.ts";
import type { ColdLoads } from "../loads/cold-loads.ts";
import type { Upstream } from "../upstream/upstream.ts";

/** What the data plane works with. */
export interface DataPlaneParts {
  readonly fleet: Fleet;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly loads: ColdLoads;
  readonly metrics: GatewayMetrics;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly queueMax: number;
  readonly keepaliveMs: number;
  /** Asks for a poll of a neuron that behaved oddly. */
  readonly poke: (neuron: string) => void;
  readonly statusOf: (code: ErrorCode) => number;
  /** The error as the whole answer. */
  readonly sendError: (reply: Reply, error: CortexError, requestId: string) => void;
  /** The error as the last event of a stream. */
  readonly formatErrorEvent: (error: CortexError) => string;
}
