import { expect, test } from "bun:test";
import { parseFileName } from "../../../src/hub/gguf-name.ts";
import { nameModel } from "../../../src/neuron/models/model-names.ts";

test("a model's id is its file's name in lower case, with the quantization at the end", () => {
  expect(nameModel("SmolLM2-135M-Instruct.Q4_1").id).toBe("smollm2-135m-instruct-q4_1");
  expect(nameModel("Qwen2.5 Coder 7B-Q4_K_M").id).toBe("qwen2.5-coder-7b-q4_k_m");
  expect(nameModel("tiny-a").id).toBe("tiny-a");
});

test("a model is also known without its quantization, by its file and by its own name", () => {
  expect(nameModel("Qwen3-8B-Q4_K_M", "Qwen3 8B").aliases).toEqual([
    "qwen3-8b",
    "Qwen3-8B-Q4_K_M",
    "Qwen3 8B",
  ]);
  expect(nameModel("tiny-a", "tiny-a").aliases).toEqual([]);
});

test("parts of a model are told from whole ones", () => {
  expect(parseFileName("Big-00002-of-00003.gguf")).toEqual({ stem: "Big", part: 2, parts: 3 });
  expect(parseFileName("Big.gguf")).toEqual({ stem: "Big", part: 1, parts: 1 });
});
