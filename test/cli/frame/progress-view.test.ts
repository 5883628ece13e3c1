import { expect, test } from "bun:test";
import { ProgressView } from "../../../src/cli/frame/progress-view.ts";
import { styleFor } from "../../../src/cli/frame/style.ts";

const MIB = 1024 * 1024;

test("on a terminal one line moves, no wider than the terminal, and goes away", () => {
  let nowMs = 0;
  const written: string[] = [];
  const output = { isTTY: true, columns: 70, write: (text: string) => written.push(text) };
  const view = new ProgressView({
    ...{ output, style: styleFor({}), nowMs: () => nowMs },
    unit: "bytes",
  });
  for (let step = 0; step <= 1000; step += 1) {
    view.show({
      label: "a-long-name-of-a-model-Q4_K_M.gguf",
      done: step * MIB,
      total: 1000 * MIB,
    });
    nowMs += 10;
  }
  view.clear();
  // Ten times a second for ten seconds, the end and the clearing.
  expect(written.length).toBeLessThanOrEqual(103);
  for (const text of written) expect(Bun.stringWidth(text)).toBeLessThanOrEqual(69);
  expect(written[50]).toContain("50 %  500 MiB of 1.0 GiB  100 MiB/s  5 s left");
  expect(written.at(-1)).toBe("\r\u001B[K");
});

test("a share is shown with the time that has passed and the time that is left", () => {
  let nowMs = 5_000;
  const written: string[] = [];
  const output = { isTTY: true, columns: 80, write: (text: string) => written.push(text) };
  const view = new ProgressView({
    ...{ output, style: styleFor({}), nowMs: () => nowMs },
    unit: "share",
  });
  view.show({ label: "m on box", done: 0.25, total: 1 });
  nowMs += 10_000;
  view.show({ label: "m on box", done: 0.5, total: 1 });
  expect(written.at(-1)).toContain("50 %  10 s  20 s left m on box");
});
