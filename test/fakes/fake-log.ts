import { systemClock } from "../../src/base/clock.ts";
import { type Log, silentLog } from "../../src/base/log.ts";
import { KeptLog } from "../../src/kept-log/kept-log.ts";
import { LogStream } from "../../src/kept-log/log-stream.ts";
import { logsResponse } from "../../src/neuron/http/log-route.ts";

/** The log of a fake neuron: what is written to it comes from GET /logs as a real neuron sends it. */
export class FakeLog {
  readonly #kept = new KeptLog({ role: "neuron", nowMs: Date.now });
  readonly #stream = new LogStream({ log: this.#kept, clock: systemClock });
  readonly log: Log = this.#kept.remember(silentLog);
  answer: (request: Request) => Response | Promise<Response> = (request) =>
    logsResponse(this.#stream, request);
}
