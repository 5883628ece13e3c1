import { CortexError } from "../../base/errors.ts";
import type { Fleet } from "../fleet/fleet.ts";

/** What an operator named is no neuron of the configuration; says which there are. */
export function unknownNeuron(
  name: string,
  neurons: Iterable<{ readonly name: string }>,
): CortexError {
  const names = Array.from(neurons, (known) => known.name);
  const known = names.slice(0, NAMES_MAX).join(", ") || "none";
  const text = `Neuron '${name.slice(0, NAME_MAX)}' is not configured: the gateway has ${known}`;
  return new CortexError("invalid_request", text, { param: "neuron" });
}

/** No model has that name; says which one may have been meant. */
export function unknownModel(name: string, { catalogue }: Fleet): CortexError {
  const nearest = catalogue.findNearest(name);
  const hint = nearest === undefined ? "" : `: did you mean '${nearest}'?`;
  return new CortexError("model_not_found", `Model '${name}' does not exist${hint}`, {
    param: "model",
  });
}

/** A large fleet's names are no help. */
const NAMES_MAX = 20;
/** Longer than any neuron's name. */
const NAME_MAX = 64;
