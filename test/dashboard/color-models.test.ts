import { expect, test } from "bun:test";
import { colorModels } from "../../src/dashboard/color-models.ts";

test("a model has the same color on every device, unless another one there has it", () => {
  const alone = colorModels(["m"]).get("m");
  expect(colorModels(["m", "n", "o"]).get("m")).toBe(alone);
  const many = Array.from({ length: 8 }, (_, index) => `model-${index}`);
  expect(new Set(colorModels(many).values()).size).toBe(8);
  expect(colorModels([...many, "one more"]).size).toBe(9);
});
