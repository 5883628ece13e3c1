import type { LoadRequest } from "../../protocol/models.ts";
import type { CatalogueEntry } from "../fleet/catalogue.ts";

/** What an operator may ask beyond the profile. */
export interface LoadSettings {
  readonly context?: number;
  readonly slots?: number;
  readonly pinned?: boolean;
}

/** A load as a neuron wants it said, from the profile and, before it, the operator's settings. Good for plans too. */
export function toLoadRequest(
  entry: CatalogueEntry,
  settings: LoadSettings = {},
): Omit<LoadRequest, "pinned" | "wait"> {
  const context = settings.context ?? entry.context;
  const slots = settings.slots ?? entry.slots;
  return {
    model: entry.source,
    ...(context === undefined ? {} : { context }),
    ...(slots === undefined ? {} : { slots }),
    ...(entry.deviceSet === undefined ? {} : { device_set: entry.deviceSet }),
    ...entry.loadOptions,
  };
}
