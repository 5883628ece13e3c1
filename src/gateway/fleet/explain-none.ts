import { CortexError } from "../../base/errors.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import type { NeuronRecord } from "./neuron-record.ts";
import type { PlacedReplica } from "./replica-index.ts";

/** Seconds after which a neuron that is down may well be back: what its supervisor needs to restart it. */
const RETRY_AFTER_SECONDS = 2;
/** More reasons than this make nobody wiser. */
const REASONS_MAX = 8;

export interface ExplainOptions {
  /** Every neuron that has the model. */
  readonly placed: readonly PlacedReplica[];
  /** Neurons that were never reached, so that nobody knows what they have. */
  readonly unknown: readonly NeuronRecord[];
  readonly nowMs: number;
  /** The id of a model that neurons have under the entry's source as an alias. */
  readonly otherSource?: string | undefined;
}

interface Reason {
  readonly text: string;
  readonly waitSeconds: number;
  readonly isFailedLoad?: boolean;
}

/** Why no neuron takes a request for the model, as an error that says when to come back. */
export function explainNone(entry: CatalogueEntry, options: ExplainOptions): CortexError {
  const { placed, unknown, nowMs } = options;
  const reasons: Reason[] = [];
  for (const one of placed) {
    if (entry.neurons !== undefined && !entry.neurons.has(one.neuron.name)) continue;
    const reason = explain(one, nowMs);
    if (reason !== undefined) reasons.push(reason);
  }
  for (const { name, refusal } of unknown) {
    if (entry.neurons !== undefined && !entry.neurons.has(name)) continue;
    reasons.push({ text: `${name} ${refusal}`, waitSeconds: RETRY_AFTER_SECONDS });
  }
  if (reasons.length === 0) {
    const { source } = entry;
    const other = options.otherSource;
    const alias = other === undefined ? "" : `; '${source}' is an alias of '${other}' there`;
    reasons.push({ text: `no neuron has it${alias}`, waitSeconds: RETRY_AFTER_SECONDS });
  }
  const retryAfterSeconds = Math.min(...reasons.map(({ waitSeconds }) => waitSeconds));
  return new CortexError(
    reasons.some(({ isFailedLoad }) => isFailedLoad) ? "load_failed" : "unavailable",
    `Model '${entry.id}' cannot be served: ${joinReasons(reasons)}`,
    {
      retryAfterSeconds,
    },
  );
}

function explain({ neuron, replica }: PlacedReplica, nowMs: number): Reason | undefined {
  const { name, refusal } = neuron;
  if (refusal !== undefined) {
    return { text: `${name} ${refusal}`, waitSeconds: RETRY_AFTER_SECONDS };
  }
  if (replica.report === undefined) return undefined;
  const cooldownMs = replica.cooldownUntilMs - nowMs;
  if (replica.isCoolingDown(nowMs) || replica.isStuck) {
    const text = `${name} failed to load it (${replica.cooldownCause})`;
    return { text, waitSeconds: Math.max(1, Math.ceil(cooldownMs / 1_000)), isFailedLoad: true };
  }
  if (replica.circuit.admits(nowMs)) return undefined;
  const openMs = replica.circuit.openUntilMs - nowMs;
  const waitSeconds = Math.max(1, Math.ceil(openMs / 1_000));
  return { text: `${name} failed its last requests`, waitSeconds };
}

function joinReasons(reasons: readonly Reason[]): string {
  const told = reasons.slice(0, REASONS_MAX).map(({ text }) => text);
  const more = reasons.length - told.length;
  return `${told.join(", ")}${more > 0 ? `, and ${more} more` : ""}`;
}
