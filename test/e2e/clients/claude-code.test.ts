import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { runClaudeCode } from "./run-claude-code.ts";
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
import { type JsonObject, listOf, objectOf, SCRIPTED_USAGE } from "./script.ts";
import { CLIENT_KEY, directTarget, inWorkplace, Stage, type Target } from "./stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open();
});

afterAll(async () => {
  await stage.close();
});

/** Plays the scenario and checks what is the same for all of them. */
async function play(
  { upstream, ...way }: Target,
  scenario: Scenario,
  options: { readonly auth?: "authorization" | "x-api-key" } = {},
): Promise<JsonObject> {
  upstream.begin(scenario.steps);
  let report: JsonObject = {};
  await inWorkplace(async (place) => {
    const run = await runClaudeCode({ place, prompt: PROMPT, ...way, ...options });
    report = run.report;
    await expectScenario(scenario, { upstream, place, run });
    expect(report["result"]).toBe(FINAL_TEXT);
    expect(report["is_error"]).toBe(false);
  });
  return report;
}

test("Claude Code plays the tool loop without a gateway", async () => {
  await play(directTarget(stage.upstreams.messages), TOOL_LOOP, { auth: "x-api-key" });
});

for (const dialect of ["chat", "messages"] as const) {
  describe(`Claude Code over an upstream that speaks ${dialect}`, () => {
    test("runs a command, sends its result and prints the answer, with the upstream's usage", async () => {
      const report = await play(stage.target(dialect), TOOL_LOOP);
      expect(report["num_turns"]).toBe(2);
      expect(report["usage"]).toMatchObject({
        input_tokens: 2 * (SCRIPTED_USAGE.input - SCRIPTED_USAGE.cached),
        cache_read_input_tokens: 2 * SCRIPTED_USAGE.cached,
        output_tokens: 2 * SCRIPTED_USAGE.output,
      });
    });

    test("is served with its key in x-api-key as well", async () => {
      await play(stage.target(dialect), LONG_LOOP, { auth: "x-api-key" });
    });

    test("runs two commands of one turn", async () => {
      const report = await play(stage.target(dialect), PARALLEL_CALLS);
      expect(report["num_turns"]).toBe(3);
    });

    test("reports a command that failed", async () => {
      await play(stage.target(dialect), FAILING_COMMAND);
    });

    test("gets over an overloaded upstream", async () => {
      await play(stage.target(dialect), overloadedFirst(dialect === "chat" ? 503 : 529));
    });

    test("gets over an answer that breaks off", async () => {
      await play(stage.target(dialect), CUT_FIRST);
    });

    test("goes on after thinking", async () => {
      await play(stage.target(dialect), THINKING);
    });
  });
}

test("Claude Code gives an Anthropic upstream its thinking back with the signature", async () => {
  const target = stage.target("messages");
  await play(target, THINKING);
  const messages = listOf(target.upstream.mainRequests.at(-1)?.body["messages"]).map(objectOf);
  const turn = messages.find((message) => message["role"] === "assistant");
  expect(listOf(turn?.["content"])[0]).toEqual({
    type: "thinking",
    thinking: "The user wants a file: I make it.",
    signature: "c2lnbmVkLWJ5LXNjcmlwdA==",
  });
});

test("what Claude Code says of itself alone does not reach a chat upstream", async () => {
  const target = stage.target("chat");
  await play(target, TOOL_LOOP);
  const text = JSON.stringify(
    target.upstream.requests.map(({ headers, body }) => ({ headers, body })),
  );
  for (const own of ["x-anthropic-billing-header", "cache_control", CLIENT_KEY]) {
    expect(text).not.toContain(own);
  }
});
