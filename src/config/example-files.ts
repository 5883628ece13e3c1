import gatewayExample from "../../config/cortex.example.toml" with { type: "text" };
import modelsExample from "../../config/models.example.toml" with { type: "text" };
import neuronExample from "../../config/neuron.example.toml" with { type: "text" };
import type { ConfigKind } from "./config-kind-names.ts";

/** The commented examples, which the executable carries with it. */
export const EXAMPLE_FILES: Readonly<Record<ConfigKind, string>> = {
  gateway: gatewayExample,
  models: modelsExample,
  neuron: neuronExample,
};
