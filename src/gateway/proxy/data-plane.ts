import { CortexError } from "../../base/errors.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { ClientRequest, Reply } from "../listener/reply.ts";
import { Exchange } from "./exchange.ts";
import type { DataPlaneParts } from "./parts.ts";
import { readRoutingFields, replaceModel } from "./routing-fields.ts";

/** Seconds after which a place in a full queue may be free. */
const QUEUE_RETRY_SECONDS = 1;

/** The data plane's entry: reads a request, admits it and starts its exchange with a neuron. */
export class DataPlane {
  readonly #parts: DataPlaneParts;

  constructor(parts: DataPlaneParts) {
    this.#parts = parts;
  }

  /** Answers one request of a hot path, at once or by and by. Throws a CortexError for one that goes nowhere. */
  handle(request: ClientRequest, reply: Reply, requestId: string): void {
    const startMs = performance.now();
    const { path, body } = request;
    try {
      const fields = readRoutingFields(body);
      const entry = this.#find(fields.model);
      this.#admit(entry);
      const exchange = new Exchange(this.#parts, reply, {
        path,
        requestId,
        body: fields.model === entry.source ? body : replaceModel(body, entry.source),
        entry,
        stream: fields.stream,
        promptTokens: fields.promptTokens,
        startMs,
      });
      exchange.start();
    } catch (thrown) {
      if (thrown instanceof CortexError) this.#parts.metrics.countRejection(thrown.code);
      throw thrown;
    }
  }

  #find(name: string): CatalogueEntry {
    const { fleet } = this.#parts;
    const entry = fleet.catalogue.find(name);
    if (entry !== undefined) return entry;
    const unknown = fleet.unknownNeurons();
    if (unknown.length > 0) {
      throw new CortexError(
        "unavailable",
        `Model '${name}' is not known, and ${unknown.join(", ")} could not be asked yet`,
        { retryAfterSeconds: 2 },
      );
    }
    const nearest = fleet.catalogue.findNearest(name);
    const hint = nearest === undefined ? "" : `; did you mean '${nearest}'?`;
    throw new CortexError("model_not_found", `Model '${name}' does not exist${hint}`, {
      param: "model",
    });
  }

  #admit(entry: CatalogueEntry): void {
    const { fleet, queueMax } = this.#parts;
    const { inFlight, slots } = fleet.load(entry);
    if (inFlight < slots + queueMax) return;
    throw new CortexError(
      "queue_full",
      `Queue of model '${entry.id}' is full: ${inFlight - slots} wait, at most ${queueMax} may`,
      { retryAfterSeconds: QUEUE_RETRY_SECONDS },
    );
  }
}
