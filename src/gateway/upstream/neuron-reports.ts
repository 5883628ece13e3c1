import type { TSchema } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { CortexError } from "../../base/errors.ts";
import { type NeuronEvent, NeuronEventSchema } from "../../protocol/events.ts";
import type { ModelFigures } from "../../protocol/figures.ts";
import { type Device, DeviceSchema, type Health, HealthSchema } from "../../protocol/health.ts";
import { MODEL_STATES, type Model, ModelSchema, type ModelState } from "../../protocol/models.ts";

/** More models than any host has; a longer list is cut, so that one neuron cannot fill the gateway's memory. */
const MODELS_MAX = 10_000;
/** As the configuration's limits. */
const ID_CHARACTERS_MAX = 256;
const ALIASES_MAX = 64;
/** Above every host; more slots or requests than this are a broken counter. */
const DEVICES_MAX = 1_024;
const SLOTS_MAX = 65_536;
const REQUESTS_MAX = 1_000_000;
/** Problems of one report that its log line tells. */
const PROBLEMS_TOLD = 3;
const SHOWN_CHARACTERS_MAX = 64;

const isModel = TypeCompiler.Compile(ModelSchema);
const isDevice = TypeCompiler.Compile(DeviceSchema);
const isHealth = TypeCompiler.Compile(HealthSchema);
const isEvent = TypeCompiler.Compile(NeuronEventSchema);

const DEVICE_STATES: readonly string[] = ["ok", "poisoned", "lost"];
const HEALTH_STATES: readonly string[] = ["ok", "degraded", "draining"];

export interface NeuronReportsOptions {
  /** The time, where times in the future are to be mended. */
  readonly nowMs?: () => number;
  /** Told once for each report that had to be mended, with what was wrong. */
  readonly onNonsense?: (what: string) => void;
}

/**
 * Reads what a neuron says of itself. A neuron of another version, or a broken one, must neither take the gateway's
 * figures with it nor be lost for one odd field. The rules:
 * 1. A report without its outline (no list of models, no instance) is refused whole.
 * 2. A model without a usable id, with one that came before, or beyond the 10,000th is left out.
 * 3. A state that is not known counts as failed for a model, as poisoned for a device, as degraded for a neuron.
 * 4. A number that is missing or null is 0, or absent where it may be; a negative one is 0; one beyond all reason is
 *    the limit. What is loaded has at least one slot, free memory is at most all of it, no time lies in the future.
 */
export class NeuronReports {
  readonly #options: NeuronReportsOptions;
  #problems: string[] = [];

  constructor(options: NeuronReportsOptions) {
    this.#options = options;
  }

  /** @throws CortexError neuron_failed */
  health(body: unknown): Health {
    return this.#told(this.#health(body));
  }

  /** @throws CortexError neuron_failed */
  models(body: unknown): Model[] {
    return this.#told(this.#models((body as { models?: unknown } | null)?.models));
  }

  /** Undefined for an event that this version does not know, and for one that says nothing usable. */
  event(data: unknown): NeuronEvent | undefined {
    return this.#told(this.#event(data));
  }

  /** Passes a report on once its problems are told. */
  #told<T>(report: T): T {
    if (this.#problems.length > 0) {
      const more = this.#problems.length - PROBLEMS_TOLD;
      const told = this.#problems.slice(0, PROBLEMS_TOLD).join("; ");
      this.#problems = [];
      this.#options.onNonsense?.(more > 0 ? `${told}; and ${more} more` : told);
    }
    return report;
  }

  #health(body: unknown): Health {
    const record = readRecord(body, "Health");
    const { instance, state } = record;
    if (typeof instance !== "string" || instance === "" || instance.length > ID_CHARACTERS_MAX) {
      throw new CortexError("neuron_failed", "Health has no usable instance");
    }
    const mended = {
      ...record,
      devices: this.#devices(record["devices"]),
      state: HEALTH_STATES.includes(state as string)
        ? state
        : this.#odd("degraded", "state", state),
      protocol: Number.isInteger(record["protocol"]) ? record["protocol"] : 1,
      version: typeof record["version"] === "string" ? record["version"].slice(0, 64) : "unknown",
      drained: typeof record["drained"] === "boolean" ? record["drained"] : undefined,
    };
    if (isHealth.Check(mended)) return mended;
    throw new CortexError("neuron_failed", "Health is not as agreed");
  }

  #devices(list: unknown): Device[] {
    const devices = new Map<number, Device>();
    for (const item of readList(list, "devices").slice(0, DEVICES_MAX)) {
      const device = this.#device(item);
      if (device === undefined) continue;
      if (devices.has(device.index)) this.#problems.push(`device ${device.index} comes twice`);
      else devices.set(device.index, device);
    }
    return [...devices.values()];
  }

  #device(item: unknown): Device | undefined {
    const record = toRecord(item);
    if (record === undefined || !Number.isInteger(record["index"]) || Number(record["index"]) < 0) {
      this.#problems.push("a device has no index");
      return undefined;
    }
    const what = `device ${record["index"]}`;
    const state = record["state"];
    const total = this.#count(record["memory_total_bytes"], `${what}: total memory`);
    const free = this.#count(record["memory_free_bytes"], `${what}: free memory`);
    if (free > total) this.#problems.push(`${what}: more memory is free than there is`);
    const mended = {
      ...record,
      memory_total_bytes: total,
      memory_free_bytes: Math.min(free, total),
      ...(DEVICE_STATES.includes(state as string)
        ? {}
        : { state: this.#odd("poisoned", `${what}: state`, state), cause: "its state is unknown" }),
    };
    if (isDevice.Check(mended)) return mended;
    this.#problems.push(`${what} is left out: ${firstError(isDevice.Errors(mended))}`);
    return undefined;
  }

  #models(list: unknown): Model[] {
    const items = readList(list, "models");
    const models = new Map<string, Model>();
    for (const item of items) {
      if (models.size === MODELS_MAX) {
        this.#problems.push(`${items.length} models are listed, at most ${MODELS_MAX} are known`);
        break;
      }
      const model = this.#model(item);
      if (model === undefined) continue;
      if (models.has(model.id)) this.#problems.push(`model ${show(model.id)} comes twice`);
      else models.set(model.id, model);
    }
    return [...models.values()];
  }

  #model(item: unknown): Model | undefined {
    const id = toRecord(item)?.["id"];
    if (typeof id !== "string" || id === "" || id.length > ID_CHARACTERS_MAX || hasControls(id)) {
      this.#problems.push(`a model is left out: its id is ${show(id)}`);
      return undefined;
    }
    if (isModel.Check(item)) return this.#clamp(item);
    const mended = this.#mend(id, item as Record<string, unknown>);
    if (isModel.Check(mended)) return this.#clamp(mended);
    this.#problems.push(`model ${show(id)} is left out: ${firstError(isModel.Errors(mended))}`);
    return undefined;
  }

  /** Rule 3, and what is missing of rule 4. */
  #mend(id: string, record: Record<string, unknown>): Record<string, unknown> {
    const mended = { ...record };
    const required = new Set<string>(ModelSchema.required);
    for (const [name, schema] of Object.entries<TSchema>(ModelSchema.properties)) {
      if (mended[name] !== null && (mended[name] !== undefined || !required.has(name))) continue;
      if (!required.has(name)) delete mended[name];
      else if (schema["type"] === "number" || schema["type"] === "integer") mended[name] = 0;
      this.#problems.push(`model ${show(id)}: ${name} is missing`);
    }
    if (!MODEL_STATES.includes(mended["state"] as ModelState)) {
      mended["state"] = this.#odd("failed", `model ${show(id)}: state`, mended["state"]);
      mended["cause"] = "its state is unknown";
    }
    return mended;
  }

  /** Rule 4; nearly every model is passed on as it is. */
  #clamp(model: Model): Model {
    const change: Partial<Record<keyof Model, unknown>> = {};
    const what = `model ${show(model.id)}`;
    for (const [name, limit] of LIMITS) {
      const value = model[name];
      if (value === undefined || (value >= 0 && value <= limit)) continue;
      change[name] = Math.min(limit, Math.max(0, value));
      this.#problems.push(`${what}: ${name} is ${value}`);
    }
    const isLoaded = model.state !== "absent" && model.state !== "failed";
    if (isLoaded && model.slots < 1) {
      change.slots = 1;
      if (model.slots === 0) this.#problems.push(`${what}: slots is 0`);
    }
    const nowMs = this.#options.nowMs?.() ?? Number.POSITIVE_INFINITY;
    // A clock that is ahead is no nonsense, only of no use here.
    if (model.last_used_ms > nowMs) change.last_used_ms = nowMs;
    if (model.bytes !== undefined && Object.values(model.bytes).some((bytes) => bytes < 0)) {
      const { weights, context, compute } = model.bytes;
      change.bytes = {
        weights: Math.max(0, weights),
        context: Math.max(0, context),
        compute: Math.max(0, compute),
      };
      this.#problems.push(`${what}: its memory is negative`);
    }
    if (model.aliases.length > ALIASES_MAX || model.aliases.some(isOddName)) {
      change.aliases = model.aliases.filter((alias) => !isOddName(alias)).slice(0, ALIASES_MAX);
      this.#problems.push(`${what}: aliases are too many or too long`);
    }
    return isEmpty(change) ? model : ({ ...model, ...change } as Model);
  }

  #event(data: unknown): NeuronEvent | undefined {
    const record = toRecord(data);
    switch (record?.["type"]) {
      case "heartbeat":
        return { type: "heartbeat" };
      case "snapshot": {
        const { health, models, ...rest } = record;
        const mended = { health: this.#health(health), models: this.#models(models) };
        const whole = { ...rest, ...mended };
        return isEvent.Check(whole) ? whole : { type: "snapshot", ...mended };
      }
      case "health":
        return { type: "health", health: this.#health(record["health"]) };
      case "model": {
        const model = this.#model(record["model"]);
        return model && { type: "model", model };
      }
      case "device": {
        const device = this.#device(record["device"]);
        return device && { type: "device", device };
      }
      default:
        if (!isEvent.Check(data)) return undefined;
        return data.type === "figures"
          ? { ...data, models: data.models.slice(0, MODELS_MAX).map((one) => this.#figures(one)) }
          : data;
    }
  }

  #figures(figures: ModelFigures): ModelFigures {
    const change: Partial<Record<FigureField, number>> = {};
    for (const [name, limit] of FIGURE_LIMITS) {
      const value = figures[name];
      if (value === undefined || (value >= 0 && value <= limit)) continue;
      change[name] = Math.min(limit, Math.max(0, value));
      this.#problems.push(`model ${show(figures.id)}: ${name} is ${value}`);
    }
    const nowMs = this.#options.nowMs?.() ?? Number.POSITIVE_INFINITY;
    if (figures.last_used_ms > nowMs) change.last_used_ms = nowMs;
    return isEmpty(change) ? figures : { ...figures, ...change };
  }

  #count(value: unknown, what: string): number {
    if (typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return value;
    this.#problems.push(`${what} is ${show(value)}`);
    return typeof value === "number" && value > 0 ? Number.MAX_SAFE_INTEGER : 0;
  }

  #odd<T>(instead: T, what: string, value: unknown): T {
    this.#problems.push(`${what} is ${show(value)}`);
    return instead;
  }
}

type FigureField =
  | "in_flight"
  | "queued"
  | "slots_busy"
  | "last_used_ms"
  | "prefill_tokens_per_second"
  | "decode_tokens_per_second"
  | "queue_seconds";
type NumberField = FigureField | "slots" | "context" | "progress" | "load_seconds" | "file_bytes";

/** What figures and models have in common, with the limit of each. */
const FIGURE_LIMITS: readonly (readonly [FigureField, number])[] = [
  ["in_flight", REQUESTS_MAX],
  ["queued", REQUESTS_MAX],
  ["slots_busy", SLOTS_MAX],
  ["last_used_ms", Number.MAX_SAFE_INTEGER],
  ["prefill_tokens_per_second", 1e9],
  ["decode_tokens_per_second", 1e9],
  ["queue_seconds", 1e6],
];

const LIMITS: readonly (readonly [NumberField, number])[] = [
  ...FIGURE_LIMITS,
  ["slots", SLOTS_MAX],
  ["context", Number.MAX_SAFE_INTEGER],
  ["progress", 1],
  ["load_seconds", 1e6],
  ["file_bytes", Number.MAX_SAFE_INTEGER],
];

function readRecord(value: unknown, what: string): Record<string, unknown> {
  const record = toRecord(value);
  if (record !== undefined) return record;
  throw new CortexError("neuron_failed", `${what} is ${show(value)}, but must be an object`);
}

function readList(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new CortexError(
    "neuron_failed",
    `Its list of ${what} is ${show(value)}, but must be a list`,
  );
}

function toRecord(value: unknown): Record<string, unknown> | undefined {
  const isRecord = typeof value === "object" && value !== null && !Array.isArray(value);
  return isRecord ? (value as Record<string, unknown>) : undefined;
}

function isOddName(name: string): boolean {
  return name === "" || name.length > ID_CHARACTERS_MAX || hasControls(name);
}

function hasControls(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 32 || code === 127) return true;
  }
  return false;
}

function isEmpty(change: object): boolean {
  for (const _ in change) return false;
  return true;
}

function firstError(errors: { First(): { path: string; message: string } | undefined }): string {
  const first = errors.First();
  return first === undefined ? "not as agreed" : `${first.path} ${first.message.toLowerCase()}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
}
