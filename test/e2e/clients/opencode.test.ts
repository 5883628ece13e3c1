import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ClientRun, parseJsonLines } from "./client-process.ts";
import { type OpencodeProvider, runOpencode } from "./run-opencode.ts";
import {
  brokenFirst,
  expectScenario,
  FINAL_TEXT,
  LONG_LOOP,
  OVERLOADED_FIRST,
  PROMPT,
  type Scenario,
  TOOL_LOOP,
} from "./scenarios.ts";
import { objectOf, SCRIPTED_USAGE } from "./script.ts";
import { directTarget, inWorkplace, Stage, type Target } from "./stage.ts";

const OPENAI: OpencodeProvider = "@ai-sdk/openai-compatible";
const ANTHROPIC: OpencodeProvider = "@ai-sdk/anthropic";

/** The provider package gives thoughts back as open models want it, to every server of that dialect. */
const OWN_EXTENSION = /reasoning_content: is unknown/;

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open();
});

afterAll(async () => {
  await stage.close();
});

/** Plays the scenario and returns the parts that opencode printed. */
async function play(
  { upstream, ...way }: Target,
  scenario: Scenario,
  provider: OpencodeProvider,
): Promise<readonly Part[]> {
  upstream.begin(scenario.steps);
  let run: ClientRun | undefined;
  await inWorkplace(async (place) => {
    run = await runOpencode({ place, prompt: PROMPT, provider, ...way });
    await expectScenario(scenario, { upstream, place, run, borne: OWN_EXTENSION });
  });
  const parts = parseJsonLines(run?.stdout ?? "").map((event) => objectOf(event["part"]));
  expect(parts.filter((part) => part["type"] === "text").at(-1)?.["text"]).toBe(FINAL_TEXT);
  return parts;
}

type Part = Readonly<Record<string, unknown>>;

for (const [provider, dialect] of [
  [OPENAI, "chat"],
  [ANTHROPIC, "messages"],
] as const) {
  test(`opencode with ${provider} plays the tool loop without a gateway`, async () => {
    await play(directTarget(stage.upstreams[dialect]), TOOL_LOOP, provider);
  });
}

for (const [provider, dialect] of [
  [OPENAI, "chat"],
  [OPENAI, "messages"],
  [ANTHROPIC, "chat"],
  [ANTHROPIC, "messages"],
] as const) {
  test(`opencode with ${provider} runs commands over an upstream that speaks ${dialect}`, async () => {
    const parts = await play(stage.target(dialect), LONG_LOOP, provider);
    const finish = parts.filter((part) => part["type"] === "step-finish").at(-1);
    expect(finish?.["tokens"]).toMatchObject({
      input: SCRIPTED_USAGE.input - SCRIPTED_USAGE.cached,
      output: SCRIPTED_USAGE.output,
      cache: { read: SCRIPTED_USAGE.cached },
    });
  });
}

describe("opencode over an upstream of the other dialect", () => {
  test("gets over an overloaded upstream", async () => {
    await play(stage.target("messages"), OVERLOADED_FIRST, OPENAI);
  });

  test("gets over an error in the middle of a command", async () => {
    await play(stage.target("messages"), brokenFirst("error"), OPENAI);
  });
});
