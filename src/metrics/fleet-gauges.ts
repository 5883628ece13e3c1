import { Gauge, type Registry } from "prom-client";

/** What a scrape asks of the fleet. */
export interface FleetFigures {
  readonly neurons: readonly {
    readonly name: string;
    readonly up: boolean;
    readonly devices: readonly {
      readonly index: number;
      readonly totalBytes: number;
      readonly freeBytes: number;
      readonly ok: boolean;
    }[];
    readonly models: readonly {
      readonly model: string;
      readonly inFlight: number;
      readonly waiting: number;
      /** Requests that it serves at once; 0 while it is not loaded. */
      readonly slots: number;
      /** Those that compute, as the neuron said last. */
      readonly slotsBusy: number;
    }[];
  }[];
}

/** What the gateway knows of its neurons, filled anew for each scrape: what has left the fleet leaves the scrape. */
export class FleetGauges {
  readonly #registry: Registry;
  readonly #all: Gauge<string>[] = [];
  readonly #inFlight: Gauge<string>;
  readonly #queueDepth: Gauge<string>;
  readonly #slots: Gauge<string>;
  readonly #slotsBusy: Gauge<string>;
  readonly #neuronUp: Gauge<string>;
  readonly #deviceMemory: Gauge<string>;
  readonly #deviceState: Gauge<string>;

  constructor(registry: Registry) {
    this.#registry = registry;
    const pair = ["model", "neuron"];
    this.#inFlight = this.#gauge("in_flight", "Requests from routing to their end", pair);
    this.#queueDepth = this.#gauge("queue_depth", "Requests that wait for a load", pair);
    this.#slots = this.#gauge("slots", "Requests that a loaded model serves at once", pair);
    this.#slotsBusy = this.#gauge("slots_busy", "Slots that compute, of all gateways", pair);
    this.#neuronUp = this.#gauge("neuron_up", "1 when the neuron answers", ["neuron"]);
    this.#deviceMemory = this.#gauge("device_memory_bytes", "Memory of a device, total and free", [
      ...["neuron", "device", "state"],
    ]);
    this.#deviceState = this.#gauge(
      "device_state",
      "1 when the device takes loads, 0 when a fault has poisoned it",
      ["neuron", "device"],
    );
  }

  fill({ neurons }: FleetFigures): void {
    for (const gauge of this.#all) gauge.reset();
    for (const { name: neuron, up, devices, models } of neurons) {
      this.#neuronUp.set({ neuron }, up ? 1 : 0);
      for (const { index, totalBytes, freeBytes, ok } of devices) {
        const device = String(index);
        this.#deviceMemory.set({ neuron, device, state: "total" }, totalBytes);
        this.#deviceMemory.set({ neuron, device, state: "free" }, freeBytes);
        this.#deviceState.set({ neuron, device }, ok ? 1 : 0);
      }
      for (const { model, inFlight, waiting, slots, slotsBusy } of models) {
        this.#inFlight.set({ model, neuron }, inFlight);
        this.#queueDepth.set({ model, neuron }, waiting);
        this.#slots.set({ model, neuron }, slots);
        this.#slotsBusy.set({ model, neuron }, slotsBusy);
      }
    }
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge<string> {
    const registers = [this.#registry];
    const gauge = new Gauge({ name: `cortex_${name}`, help, labelNames, registers });
    this.#all.push(gauge);
    return gauge;
  }
}
