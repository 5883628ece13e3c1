/** The kinds of files that people write; apart from their schemas, which a command line does not need. */
export const CONFIG_KIND_NAMES = ["gateway", "models", "neuron"] as const;
/** One of them. */
export type ConfigKind = (typeof CONFIG_KIND_NAMES)[number];
