import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ClientRun, parseJsonLines } from "./client-process.ts";
import { type OpencodeProvider, runOpencode } from "./run-opencode.ts";
import {
  CUT_FIRST,
  expectScenario,
  FAILING_COMMAND,
  FINAL_TEXT,
  LONG_LOOP,
  overloadedFirst,
  PARALLEL_CALLS,
  PROMPT,
  type Scenario,
  THINKING,
  TOOL_LOOP,
} from "./scenarios.ts";
import { objectOf, SCRIPTED_USAGE } from "./script.ts";
import { directTarget, inWorkplace, Stage, type Target } from "./stage.ts";

const OPENAI: OpencodeProvider = "@ai-sdk/openai-compatible";
const ANTHROPIC: OpencodeProvider = "@ai-sdk/anthropic";

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
    await expectScenario(scenario, { upstream, place, run });
  });
  const parts = parseJsonLines(run?.stdout ?? "").map((event) => objectOf(event["part"]));
  expect(parts.filter((part) => part["type"] === "text").at(-1)?.["text"]).toBe(FINAL_TEXT);
  return parts;
}

type Part = Readonly<Record<string, unknown>>;

test("opencode plays the tool loop without a gateway, in both dialects", async () => {
  await play(directTarget(stage.upstreams.chat), TOOL_LOOP, OPENAI);
  await play(directTarget(stage.upstreams.messages), TOOL_LOOP, ANTHROPIC);
});

for (const [provider, dialect] of [
  [OPENAI, "chat"],
  [OPENAI, "messages"],
  [ANTHROPIC, "chat"],
  [ANTHROPIC, "messages"],
] as const) {
  describe(`opencode with ${provider} over an upstream that speaks ${dialect}`, () => {
    test("runs a command, sends its result and prints the answer, with the upstream's usage", async () => {
      const parts = await play(stage.target(dialect), TOOL_LOOP, provider);
      const finish = parts.filter((part) => part["type"] === "step-finish").at(-1);
      expect(finish?.["tokens"]).toMatchObject({
        input: SCRIPTED_USAGE.input - SCRIPTED_USAGE.cached,
        output: SCRIPTED_USAGE.output,
        cache: { read: SCRIPTED_USAGE.cached },
      });
    });

    test("runs two commands of one turn", async () => {
      await play(stage.target(dialect), PARALLEL_CALLS, provider);
    });

    test("goes on after thinking", async () => {
      await play(stage.target(dialect), THINKING, provider);
    });
  });
}

describe("opencode over an upstream of the other dialect", () => {
  test("runs one command after the other", async () => {
    await play(stage.target("messages"), LONG_LOOP, OPENAI);
  });

  test("reports a command that failed", async () => {
    await play(stage.target("messages"), FAILING_COMMAND, OPENAI);
  });

  test("gets over an overloaded upstream", async () => {
    await play(stage.target("messages"), overloadedFirst(529), OPENAI);
  });

  test("gets over an answer that breaks off", async () => {
    await play(stage.target("messages"), CUT_FIRST, OPENAI);
  });
});
