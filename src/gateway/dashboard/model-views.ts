import type { ModelView } from "../../protocol/feed.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { describeModel } from "../fleet/status.ts";

/** How often models that are on disks alone are looked at: what their neurons say of them hardly ever changes. */
const ABSENT_LOOKS = 30;

/** The two sections of the feed that hold models. */
interface Views {
  /** In memory somewhere, or asked for. */
  readonly present: ReadonlyMap<string, ModelView>;
  readonly absent: ReadonlyMap<string, ModelView>;
}

interface Look {
  readonly nowMs: number;
  readonly isFirst: boolean;
}

/**
 * Every model as the feed tells it. A look costs what is in memory or asked for, not what lies on disks: those views
 * stay the same objects from one look to the next.
 */
export class ModelViews {
  readonly #present = new Map<string, ModelView>();
  readonly #absent = new Map<string, ModelView>();
  #entries: readonly CatalogueEntry[] | undefined;
  #looks = 0;

  /**
   * The views as of now; read them before the next look. While a page waits for a first one, those that are absent are
   * left for the next.
   */
  look(fleet: Fleet, { nowMs, isFirst }: Look): Views {
    const { entries } = fleet.catalogue;
    if (isFirst) this.#looks = 0;
    if (!isFirst && (entries !== this.#entries || this.#looks % ABSENT_LOOKS === 1)) {
      this.#lookAtAll(fleet, nowMs);
    } else {
      for (const entry of this.#findAlive(fleet)) this.#describe(fleet, entry, nowMs);
    }
    this.#entries = entries;
    this.#looks += 1;
    return { present: this.#present, absent: this.#absent };
  }

  #lookAtAll(fleet: Fleet, nowMs: number): void {
    const { entries } = fleet.catalogue;
    const ids = new Set(entries.map(({ id }) => id));
    for (const views of [this.#present, this.#absent]) {
      for (const id of [...views.keys()]) if (!ids.has(id)) views.delete(id);
    }
    for (const entry of entries) this.#describe(fleet, entry, nowMs);
  }

  /** What is in memory or waited for now, or was at the last look. */
  #findAlive(fleet: Fleet): Set<CatalogueEntry> {
    const alive = new Set<CatalogueEntry>();
    for (const { name, residents, wanted } of fleet.neurons) {
      for (const { model } of [...residents, ...wanted]) {
        const entry = fleet.catalogue.findPlaced(model, name);
        if (entry !== undefined) alive.add(entry);
      }
    }
    for (const id of this.#present.keys()) {
      const entry = fleet.catalogue.find(id);
      if (entry !== undefined) alive.add(entry);
    }
    return alive;
  }

  #describe(fleet: Fleet, entry: CatalogueEntry, nowMs: number): void {
    const view = describeEntry(fleet, entry, nowMs);
    const isPresent = view.state !== "absent" || view.in_flight > 0 || view.waiting > 0;
    (isPresent ? this.#present : this.#absent).set(entry.id, view);
    (isPresent ? this.#absent : this.#present).delete(entry.id);
  }
}

function describeEntry(fleet: Fleet, entry: CatalogueEntry, nowMs: number): ModelView {
  const status = describeModel(fleet, entry, { nowMs, loadedOnly: true });
  const holders = fleet.holders(entry);
  const report = holders[0]?.replicas.get(entry.source)?.report;
  return {
    aliases: status.aliases,
    state: status.state,
    pinned: status.pinned,
    priority: status.priority,
    in_flight: status.in_flight,
    waiting: status.waiting,
    context: status.context || (report?.context ?? 0),
    file_bytes: status.file_bytes || (report?.file_bytes ?? 0),
    quantization: status.quantization || (report?.quantization ?? ""),
    holders: holders.length,
    loadable: holders.some(({ loads }) => loads),
    replicas: status.replicas,
  };
}
