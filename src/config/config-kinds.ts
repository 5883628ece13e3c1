import type { TObject } from "@sinclair/typebox";
import type { ConfigKind } from "./config-kind-names.ts";
import { GatewayConfigSchema } from "./gateway-schema.ts";
import { ModelProfilesSchema } from "./models-schema.ts";
import { NeuronConfigSchema } from "./neuron-schema.ts";

/** What a kind's file is called where nobody names it, and what may stand in it. */
export const CONFIG_KINDS: Readonly<
  Record<ConfigKind, { readonly fileName: string; readonly schema: TObject }>
> = {
  gateway: { fileName: "cortex.toml", schema: GatewayConfigSchema },
  models: { fileName: "models.toml", schema: ModelProfilesSchema },
  neuron: { fileName: "neuron.toml", schema: NeuronConfigSchema },
};
