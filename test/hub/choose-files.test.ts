import { expect, test } from "bun:test";
import { CortexError } from "../../src/base/errors.ts";
import { chooseFiles } from "../../src/hub/choose-files.ts";
import type { HubListing } from "../../src/hub/hub-api.ts";
import { parseHubSource } from "../../src/hub/hub-source.ts";

function listing(...paths: readonly string[]): HubListing {
  const digest = { algorithm: "sha256", hex: "0".repeat(64) } as const;
  return {
    repository: "o/n",
    commit: "0".repeat(40),
    files: paths.map((path, index) => ({ path, bytes: (index + 1) * 1024 ** 3, digest })),
  };
}

function choose(source: string, files: HubListing, projector = true): readonly string[] {
  return chooseFiles(files, parseHubSource(source), { projector }).map((file) => file.path);
}

function refusal(source: string, files: HubListing): CortexError {
  try {
    choose(source, files);
  } catch (error) {
    if (error instanceof CortexError) return error;
  }
  throw new Error("it was not refused");
}

test("the only model needs no quantization, whatever lies beside it", () => {
  const files = listing("README.md", "imatrix.gguf", "M-Q4_K_M.gguf", "mtp-M.gguf");
  expect(choose("hf:o/n", files)).toEqual(["M-Q4_K_M.gguf"]);
});

test("several models without a quantization are refused with the choices and a line to type", () => {
  const error = refusal("hf:o/n", listing("M-Q4_0.gguf", "M-Q4_K_M.gguf", "M-Q8_0.gguf"));
  expect(error.code).toBe("invalid_request");
  expect(error.message).toBe(
    "o/n has 3 models: name one\nM-Q4_0.gguf (1.0 GiB)\nM-Q4_K_M.gguf (2.0 GiB)\nM-Q8_0.gguf (3.0 GiB)",
  );
  expect(error.hint).toBe("cortex pull hf:o/n:Q4_K_M");
  expect(error.figures?.["choices"]).toHaveLength(3);
});

test("a quantization is found in any case, exactly before by ending", () => {
  const files = listing("M-Q4_K_XL.gguf", "M-UD-Q4_K_XL.gguf", "M-UD-Q2_K_XL.gguf");
  expect(choose("hf:o/n:q4_k_xl", files)).toEqual(["M-Q4_K_XL.gguf"]);
  expect(choose("hf:o/n:UD-Q4_K_XL", files)).toEqual(["M-UD-Q4_K_XL.gguf"]);
  expect(choose("hf:o/n:Q2_K_XL", files)).toEqual(["M-UD-Q2_K_XL.gguf"]);
});

test("a quantization that two models have is refused, and each can be named by file", () => {
  const files = listing("a/M-Q8_0.gguf", "b/M-Q8_0.gguf");
  const error = refusal("hf:o/n:Q8_0", files);
  expect(error.message).toContain("o/n has 2 models in Q8_0: name one");
  expect(error.hint).toBe("cortex pull hf:o/n/a/M-Q8_0.gguf");
  expect(choose("hf:o/n/b/M-Q8_0.gguf", files)).toEqual(["b/M-Q8_0.gguf"]);
});

test("a quantization that is not there is refused with what is", () => {
  const error = refusal("hf:o/n:Q5_K_M", listing("M-Q8_0.gguf"));
  expect(error.code).toBe("model_not_found");
  expect(error.message).toContain("no model in Q5_K_M; it has\nM-Q8_0.gguf");
  expect(refusal("hf:o/n", listing("model.safetensors")).message).toContain("no GGUF files");
});

test("all parts come in order, by quantization and by any part's name", () => {
  const files = listing(
    "Q8/M-Q8_0-00003-of-00003.gguf",
    "Q8/M-Q8_0-00001-of-00003.gguf",
    "Q8/M-Q8_0-00002-of-00003.gguf",
    "M-Q8_0-00001-of-00002.gguf",
  );
  const parts = [1, 2, 3].map((part) => `Q8/M-Q8_0-0000${part}-of-00003.gguf`);
  expect(choose("hf:o/n/Q8/M-Q8_0-00002-of-00003.gguf", files)).toEqual(parts);
  expect(refusal("hf:o/n/M-Q8_0-00001-of-00002.gguf", files).message).toBe(
    "o/n lacks part 2 of 2 of M-Q8_0",
  );
});

test("the nearest projector goes along, the usual one of several, or none where that is said", () => {
  const files = listing("a/M-Q8_0.gguf", "a/mmproj-F32.gguf", "mmproj-F16.gguf", "b/mmproj.gguf");
  expect(choose("hf:o/n", files)).toEqual(["a/M-Q8_0.gguf", "a/mmproj-F32.gguf"]);
  expect(choose("hf:o/n", files, false)).toEqual(["a/M-Q8_0.gguf"]);
  expect(choose("hf:o/n/mmproj-F16.gguf", files)).toEqual(["mmproj-F16.gguf"]);
  const flat = listing("M-Q8_0.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf");
  expect(choose("hf:o/n", flat)).toEqual(["M-Q8_0.gguf", "mmproj-F16.gguf"]);
});
