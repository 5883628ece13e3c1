import type { Clock } from "../../base/clock.ts";
import { describeError, isAbort } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { FollowRequest } from "../../kept-log/follow-request.ts";
import type { KeptLog } from "../../kept-log/kept-log.ts";
import { LogStream } from "../../kept-log/log-stream.ts";
import type { GatewayMetrics } from "../../metrics/gateway-metrics.ts";
import { type GatewayTotals, readTotals } from "../../metrics/read-totals.ts";
import type { FeedState } from "../../protocol/feed.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { measureFleet } from "../fleet/status.ts";
import type { Reply } from "../listener/reply.ts";
import type { Operations } from "../operations/operations.ts";
import type { LiveRequests } from "../proxy/live-requests.ts";
import { describeFeed } from "./describe-feed.ts";
import { Feed } from "./feed.ts";
import { FeedReader } from "./feed-reader.ts";
import { History, SAMPLE_MS } from "./history.ts";
import { ModelViews } from "./model-views.ts";

export interface DashboardOptions {
  readonly fleet: Fleet;
  readonly live: LiveRequests;
  readonly operations: Operations;
  readonly metrics: GatewayMetrics;
  readonly kept: KeptLog;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the page at /ui is fed with. Only looks: the fleet, the counters and the requests have other owners. */
export class Dashboard {
  readonly #options: DashboardOptions;
  readonly #history = new History();
  readonly #models = new ModelViews();
  readonly #feed: Feed;
  readonly #stream: LogStream;
  readonly #startedMs: number;
  #totals: GatewayTotals | undefined;
  readonly #stopped = new AbortController();

  constructor(options: DashboardOptions) {
    this.#options = options;
    const { clock, kept } = options;
    this.#startedMs = clock.nowMs();
    this.#feed = new Feed({ clock, readState: (isFirst) => this.#readState(isFirst) });
    this.#stream = new LogStream({ clock, log: kept });
  }

  /** Begins to keep the history, whether or not anybody looks, and returns what ends it and the feeds. */
  start(): () => void {
    void this.#keepHistory();
    // The feeds' streams would hold up the end of the gateway.
    return () => {
      this.#stopped.abort();
      this.#feed.stop();
      this.#stream.stop();
    };
  }

  async #keepHistory(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stopped;
    try {
      for (;;) {
        await this.#sample();
        await clock.sleep(SAMPLE_MS, signal);
      }
    } catch (thrown) {
      if (signal.aborted || isAbort(thrown)) return;
      log.error("History ends", { cause: describeError(thrown) });
    }
  }

  /** Takes one reading of the counters. */
  async #sample(): Promise<void> {
    const { clock, metrics, live, fleet } = this.#options;
    const totals = await readTotals(metrics.registry);
    this.#totals = totals;
    let runningTokens = 0;
    for (const [request] of live.all) runningTokens += request.describe().tokens;
    this.#history.note({
      ...{ nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() },
      ...{ totals, runningTokens, fleet: measureFleet(fleet) },
    });
  }

  /** Answers one page with the feed. @throws CortexError when too many are open */
  follow(reply: Reply, headers: string): void {
    this.#feed.follow(reply, headers);
  }

  /** Answers with the log, and goes on with it where that is wanted. @throws CortexError when too many do */
  sendEvents(reply: Reply, headers: string, request: FollowRequest): void {
    this.#stream.send(request, () => {
      const reader = new FeedReader(reply, () => this.#stream.forget(reader));
      reply.listen(reader);
      reply.begin(200, headers);
      return reader;
    });
  }

  #readState(isFirst: boolean): FeedState {
    const { fleet, live, operations, clock, kept } = this.#options;
    const current = describeFeed({
      ...{ fleet, live, models: this.#models, startedMs: this.#startedMs, totals: this.#totals },
      ...{ status: operations.summary(), isFirst },
      nowMs: clock.nowMs(),
      monotonicMs: clock.monotonicMs(),
    });
    return { ...current, events: kept.lines, history: this.#history.samples };
  }
}
