import { CONFIG_KIND_NAMES, type ConfigKind } from "../../config/config-kind-names.ts";

/** The flag of the commands about configuration that says what a file is for. */
export const kindFlag = {
  kind: {
    type: "enum" as const,
    options: [...CONFIG_KIND_NAMES] as ConfigKind[],
    valueHint: "KIND",
    description: "gateway, models or neuron; by the file's name or content when left out",
  },
};
