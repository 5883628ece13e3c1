import { expect, test } from "bun:test";
import { defaultThreads } from "../../../src/neuron/models/threads.ts";

test("a model gets every core but one, and never none", () => {
  expect([1, 2, 8].map(defaultThreads)).toEqual([1, 1, 7]);
});
