import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../base/clock.ts";
import { CortexError, describeError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { NeuronConfig } from "../../config/gateway-schema.ts";
import { readSecret } from "../../config/secret.ts";
import { HttpNeuronApi, type NeuronApi } from "./neuron-api.ts";
import { Upstream } from "./upstream.ts";

export interface RosterOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Told when what a neuron says of itself had to be mended. */
  readonly onNonsense: (neuron: string, what: string) => void;
}

/** What became of the entries that a new configuration changed, by name. */
export interface RosterChange {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Those of `changed` whose entry is the same: only the token or key behind it is another one. */
  readonly rekeyed: readonly string[];
}

/**
 * How long an upstream that the configuration names no more admits requests: those that were routed there and wait for
 * a load. Longer than all but the largest loads take; what comes later goes elsewhere.
 */
const RETIRE_MS = 600_000;

/**
 * The connections to every entry of `[[neurons]]`, and the control planes of those that are neurons. Owner of both: a
 * new configuration replaces what it changes, and what runs over the old connections ends there.
 */
export class Roster {
  readonly #options: RosterOptions;
  readonly #upstreams = new Map<string, Upstream>();
  readonly #apis = new Map<string, NeuronApi>();
  readonly #configs = new Map<string, NeuronConfig>();
  readonly #secrets = new Map<string, string | undefined>();
  readonly #retired = new Map<Upstream, () => void>();

  /** Throws `invalid_config` for a token or key that no header may hold. */
  constructor(neurons: readonly NeuronConfig[], options: RosterOptions) {
    this.#options = options;
    this.configure(neurons);
  }

  /** Changes in place with {@link configure}. */
  get upstreams(): ReadonlyMap<string, Upstream> {
    return this.#upstreams;
  }

  /** The same; only a neuron has a control plane. */
  get apis(): ReadonlyMap<string, NeuronApi> {
    return this.#apis;
  }

  /**
   * Takes the entries of a new configuration, and reads their tokens and keys anew, or throws `invalid_config` and
   * changes nothing.
   */
  configure(neurons: readonly NeuronConfig[]): RosterChange {
    const secrets = new Map(neurons.map((neuron) => [neuron.name, this.#readSecret(neuron)]));
    const isSame = (neuron: NeuronConfig) =>
      isDeepStrictEqual(this.#configs.get(neuron.name), neuron);
    const isRekeyed = (neuron: NeuronConfig) =>
      isSame(neuron) && this.#secrets.get(neuron.name) !== secrets.get(neuron.name);
    const rekeyed = neurons.filter(isRekeyed).map(({ name }) => name);
    const differing = neurons.filter((neuron) => !isSame(neuron) || isRekeyed(neuron));
    const named = new Set(neurons.map(({ name }) => name));
    const removed = [...this.#configs.keys()].filter((name) => !named.has(name));
    const changed = differing.map(({ name }) => name).filter((name) => this.#configs.has(name));
    const added = differing.map(({ name }) => name).filter((name) => !this.#configs.has(name));
    for (const name of [...removed, ...changed]) this.#remove(name);
    for (const neuron of differing) this.#add(neuron, secrets.get(neuron.name));
    return { added, changed, removed, rekeyed };
  }

  /** Closes idle connections, and admits no more requests anywhere. */
  close(): void {
    for (const { origin } of this.#upstreams.values()) origin.close();
    for (const [{ origin }, cancel] of this.#retired) {
      cancel();
      origin.close();
    }
    this.#retired.clear();
  }

  #add(config: NeuronConfig, secret: string | undefined): void {
    const { clock, onNonsense } = this.#options;
    const { name, kind } = config;
    const upstream = new Upstream(config, secret);
    this.#upstreams.set(name, upstream);
    this.#configs.set(name, config);
    this.#secrets.set(name, secret);
    if (kind !== "neuron") return;
    const reports = {
      nowMs: () => clock.nowMs(),
      onNonsense: (what: string) => onNonsense(name, what),
    };
    this.#apis.set(name, new HttpNeuronApi(upstream.origin, reports));
  }

  #remove(name: string): void {
    const upstream = this.#upstreams.get(name);
    this.#upstreams.delete(name);
    this.#apis.delete(name);
    this.#configs.delete(name);
    this.#secrets.delete(name);
    if (upstream === undefined) return;
    const cancel = this.#options.clock.after(RETIRE_MS, () => {
      this.#retired.delete(upstream);
      upstream.origin.close();
    });
    this.#retired.set(upstream, cancel);
  }

  #readSecret(neuron: NeuronConfig): string | undefined {
    const [variable, file] =
      neuron.kind === "neuron"
        ? [neuron.token_env, neuron.token_file]
        : [neuron.api_key_env, neuron.api_key_file];
    if (variable === undefined && file === undefined) return undefined;
    const { log } = this.#options;
    try {
      const secret = readSecret({ variable, file }, process.env);
      if (secret === undefined) {
        log.warn("Token or key is not set", { neuron: neuron.name, variable });
      } else if (secret.warning !== undefined) {
        log.warn("Token or key is open to others", { neuron: neuron.name, cause: secret.warning });
      }
      return secret?.value;
    } catch (thrown) {
      const text = `Cannot use the token or key of ${neuron.name}: ${describeError(thrown)}`;
      throw new CortexError("invalid_config", text);
    }
  }
}
