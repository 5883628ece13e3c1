/** What 0011-as-many-tokens-of-each-sequence.patch must not change: an answer is the same alone and beside others. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

const MODEL = "mixed";
/** In words; one that fills a piece of its own, and others that share one with the streams. */
const PROMPTS = [3, 40, 41, 150, 700];

let device: TestDevice;

beforeAll(async () => {
  if (SKIP_REASON !== undefined) return;
  device = await TestDevice.open("mixed");
  const path = await tinyModel(MODEL, { contextLength: 4096 });
  await device.load(MODEL, path, { slots: 8, context: 4096, prompt_cache_mib: 0 });
});

afterAll(() => device?.close());

/** The first answer's text to each prompt, all asked at once. */
async function answers(prompts: readonly number[]): Promise<string[]> {
  const running = prompts.map((words) =>
    device.submit("completion", MODEL, {
      prompt: `w${words} `.repeat(words),
      max_tokens: 6,
      temperature: 0,
      ignore_eos: true,
      cache_prompt: false,
    }),
  );
  const ended = await Promise.all(running.map((each) => each.done));
  return ended.map(({ result }) => result.choices[0].text);
}

test.skipIf(SKIP_REASON !== undefined)(
  "prompts of any lengths that are read beside streams have the answers that they have alone",
  async () => {
    const alone: string[] = [];
    for (const words of PROMPTS) alone.push(...(await answers([words])));
    const streams = [1, 2, 3].map((seed) =>
      device.chat(MODEL, { stream: true, max_tokens: 3000, ignore_eos: true, seed }),
    );
    await Promise.all(streams.map((each) => each.until((event) => event.kind === "chunk")));
    expect(await answers(PROMPTS)).toEqual(alone);
    expect(await answers(PROMPTS.toReversed())).toEqual(alone.toReversed());
    // They were there all the time.
    for (const each of streams) expect(device.cancel(each.id)).toBe(true);
    await Promise.all(streams.map((each) => each.done));
  },
);
