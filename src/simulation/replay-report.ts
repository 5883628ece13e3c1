import type { SimulatedClient } from "./simulated-client.ts";
import type { SimulatedModel } from "./simulated-model.ts";
import type { NeuronObserver, SimulatedNeuron, UnloadKind } from "./simulated-neuron.ts";

/** How long clients waited for their first token, in seconds; 0 where none was answered. */
export interface WaitFigures {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** How the requests for one model, or all of them, fared. */
export interface FareFigures {
  readonly requests: number;
  readonly answered: number;
  readonly failed: number;
  readonly cold_loads: number;
  /** Unloads that made room for another model. */
  readonly evictions: number;
  /** Unloads for nobody's sake: idle for long, a replica too many, or to join up memory. */
  readonly idle_unloads: number;
  /** All clients' waits for a first token together. */
  readonly waiting_seconds: number;
  readonly ttft_seconds: WaitFigures;
}

/** What a replay reports. */
export interface ReplayReport {
  readonly total: FareFigures;
  readonly models: Readonly<Record<string, FareFigures>>;
  /** Statuses of failed requests, and how many there were of each. */
  readonly failures: Readonly<Record<string, number>>;
}

class Fare {
  requests = 0;
  failed = 0;
  coldLoads = 0;
  evictions = 0;
  idleUnloads = 0;
  readonly waits: number[] = [];

  figures(): FareFigures {
    const sorted = this.waits.toSorted((a, b) => a - b);
    const sum = sorted.reduce((total, wait) => total + wait, 0);
    return {
      requests: this.requests,
      answered: sorted.length,
      failed: this.failed,
      cold_loads: this.coldLoads,
      evictions: this.evictions,
      idle_unloads: this.idleUnloads,
      waiting_seconds: round(sum),
      ttft_seconds: {
        mean: round(sorted.length === 0 ? 0 : sum / sorted.length),
        p50: quantile(sorted, 0.5),
        p90: quantile(sorted, 0.9),
        p99: quantile(sorted, 0.99),
        max: quantile(sorted, 1),
      },
    };
  }
}

/** Counts how a run's clients fare. */
export class ReplayTally implements NeuronObserver {
  readonly #total = new Fare();
  readonly #models = new Map<string, Fare>();
  readonly #failures = new Map<string, number>();

  /** Requests that have ended. */
  get requests(): number {
    return this.#total.requests;
  }

  /** A request ended; `model` is what the catalogue calls it. */
  note(client: SimulatedClient, model: string): void {
    for (const fare of [this.#total, this.#of(model)]) {
      fare.requests += 1;
      if (client.outcome !== "answered" || client.firstTokenMs === undefined) fare.failed += 1;
      else fare.waits.push((client.firstTokenMs - client.startMs) / 1_000);
    }
    if (client.outcome === "answered") return;
    const status = client.outcome === "left" ? "unanswered" : String(client.status);
    this.#failures.set(status, (this.#failures.get(status) ?? 0) + 1);
  }

  onLoadStarted(_neuron: SimulatedNeuron, { id }: SimulatedModel): void {
    this.#total.coldLoads += 1;
    this.#of(id).coldLoads += 1;
  }

  onLoaded(): void {
    // It was counted when it began.
  }

  onUnloaded(_neuron: SimulatedNeuron, { id }: SimulatedModel, { makesRoom }: UnloadKind): void {
    for (const fare of [this.#total, this.#of(id)]) {
      if (makesRoom) fare.evictions += 1;
      else fare.idleUnloads += 1;
    }
  }

  report(): ReplayReport {
    const models = [...this.#models].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return {
      total: this.#total.figures(),
      models: Object.fromEntries(models.map(([id, fare]) => [id, fare.figures()])),
      failures: Object.fromEntries(this.#failures),
    };
  }

  #of(model: string): Fare {
    let fare = this.#models.get(model);
    if (fare === undefined) {
      fare = new Fare();
      this.#models.set(model, fare);
    }
    return fare;
  }
}

function quantile(sorted: readonly number[], part: number): number {
  const index = Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1);
  return round(sorted[Math.max(0, index)] ?? 0);
}

function round(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}
