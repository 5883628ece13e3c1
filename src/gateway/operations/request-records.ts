import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import {
  REQUESTS_LISTED_MAX,
  type RequestExplanation,
  type RequestList,
  type RequestQuery,
} from "../../protocol/requests.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { REQUESTS_KEPT_MAX, type RecentRequests } from "../proxy/recent-requests.ts";
import { explainRequest, summarizeRequest } from "./describe-request.ts";
import { unknownModel } from "./unknown-names.ts";

const LIMIT_DEFAULT = 20;

/** What an operator can ask of requests that are under way, or were. */
export class RequestRecords {
  readonly #options: {
    readonly fleet: Fleet;
    readonly recent: RecentRequests;
    readonly clock: Clock;
  };

  constructor(options: {
    readonly fleet: Fleet;
    readonly recent: RecentRequests;
    readonly clock: Clock;
  }) {
    this.#options = options;
  }

  /** The newest first. @throws CortexError model_not_found, or invalid_request for a limit beyond the largest */
  list({ limit, model, after }: RequestQuery): RequestList {
    const { recent, fleet } = this.#options;
    const countMax = limit === undefined ? LIMIT_DEFAULT : Number(limit);
    if (countMax > REQUESTS_LISTED_MAX) {
      const text = `Cannot list ${countMax} requests: at most ${REQUESTS_LISTED_MAX}`;
      throw new CortexError("invalid_request", text, { param: "limit" });
    }
    const id = model === undefined ? undefined : fleet.catalogue.find(model)?.id;
    if (model !== undefined && id === undefined) {
      throw unknownModel(model, fleet);
    }
    const requests: RequestList["requests"] = [];
    const clocks = this.#readClocks();
    for (const found of recent.newestFirst()) {
      const [number, { request }] = found;
      if (requests.length >= countMax || number <= Number(after ?? 0)) break;
      if (id !== undefined && request.model !== id) continue;
      requests.push(summarizeRequest(found, clocks));
    }
    return { newest: recent.count, requests };
  }

  /** The newest of that id. @throws CortexError request_not_found */
  explain(id: string): RequestExplanation {
    const { recent } = this.#options;
    for (const found of recent.newestFirst()) {
      if (found[1].request.requestId === id) return explainRequest(found, this.#readClocks());
    }
    throw new CortexError(
      "request_not_found",
      `Request '${id.slice(0, 128)}' is not known: this gateway remembers its last ${REQUESTS_KEPT_MAX} requests`,
    );
  }

  #readClocks() {
    const { clock } = this.#options;
    return { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  }
}
