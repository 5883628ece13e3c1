import { afterEach, describe, expect, test } from "bun:test";
import { GEMMA_PATH } from "../../scripts/get-gemma.ts";
import { SKIP_REASON, TestDevice } from "./harness.ts";

const words = (count: number) => "The keeper of the light wrote down each ship. ".repeat(count);
/** The last question is longer than Gemma's window: what came before it is gone when it was read. */
const BEGINNING = [
  { role: "user", content: `Remember: ${words(30)}` },
  { role: "assistant", content: "I do." },
];
const LONG_QUESTION = { role: "user", content: `And this: ${words(75)}` };
const OTHER_QUESTION = { role: "user", content: "Which light?" };

/** A real model with sliding windows; scripts/get-gemma.ts fetches its file. */
describe.skipIf(SKIP_REASON !== undefined)("checkpoints of a sliding window", () => {
  let device: TestDevice;

  afterEach(() => device.close());

  /** Cached tokens of a request that has the beginning alone in common with the one before. */
  const cachedOfBeginning = async (promptCacheMib: number): Promise<number> => {
    device = await TestDevice.open(`checkpoints${promptCacheMib}`);
    await device.load("gemma", GEMMA_PATH, {
      ...{ slots: 1, context: 4096 },
      prompt_cache_mib: promptCacheMib,
    });
    const ask = (question: object) =>
      device.chat("gemma", { messages: [...BEGINNING, question], max_tokens: 2 }).done;
    await ask(LONG_QUESTION);
    const { last, result } = await ask(OTHER_QUESTION);
    expect(last.kind).toBe("result");
    return result.usage.prompt_tokens_details.cached_tokens;
  };

  test("spare a conversation that goes on otherwise its beginning", async () => {
    expect(await cachedOfBeginning(256)).toBeGreaterThan(300);
  }, 120_000);

  test("are not made where prompts may take no memory of the host", async () => {
    expect(await cachedOfBeginning(0)).toBe(0);
  }, 120_000);
});
