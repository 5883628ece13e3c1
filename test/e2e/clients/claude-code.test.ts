import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ClaudeCodeRun, runClaudeCode } from "./run-claude-code.ts";
import {
  brokenFirst,
  expectScenario,
  FINAL_TEXT,
  LONG_LOOP,
  OVERFLOW,
  OVERLOADED_FIRST,
  PROMPT,
  picture,
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

    test("thinks, runs two commands of one turn and shows its key in x-api-key", async () => {
      await play(stage.target(dialect), LONG_LOOP, { auth: "x-api-key" });
    });

    test("gets over an overloaded upstream", async () => {
      await play(stage.target(dialect), OVERLOADED_FIRST);
    });

    test("gets over an answer that breaks off in a command", async () => {
      await play(stage.target(dialect), brokenFirst("cut"));
    });

    test("gets over an error in the middle of a command", async () => {
      await play(stage.target(dialect), brokenFirst("error"));
    });

    test("understands that its prompt is too long", async () => {
      const { upstream, ...way } = stage.target(dialect);
      upstream.begin(OVERFLOW.steps);
      let run: ClaudeCodeRun | undefined;
      await inWorkplace(async (place) => {
        run = await runClaudeCode({ place, prompt: PROMPT, ...way });
      });
      expect(String(run?.report["result"])).toContain("Prompt is too long");
      expect(run?.code).toBe(1);
      expect(upstream.mainRequests).toHaveLength(1);
    });
  });
}

test("Claude Code gives an Anthropic upstream its thinking back with the signature", async () => {
  const target = stage.target("messages");
  await play(target, LONG_LOOP);
  const messages = listOf(target.upstream.mainRequests.at(-1)?.body["messages"]).map(objectOf);
  const turn = messages.find((message) => message["role"] === "assistant");
  const { text, signature } = THINKING;
  expect(listOf(turn?.["content"])[0]).toEqual({ type: "thinking", thinking: text, signature });
});

test("Claude Code's search for tools tells a chat upstream what it found", async () => {
  const target = stage.target("chat");
  const search = { tool: /^ToolSearch$/, input: { query: "select:WebFetch", max_results: 5 } };
  await play(target, {
    ...TOOL_LOOP,
    steps: [{ calls: [search] }, ...TOOL_LOOP.steps],
    printed: [...TOOL_LOOP.printed, "Found: WebFetch"],
  });
  const tools = listOf(target.upstream.mainRequests.at(-1)?.body["tools"]);
  const names = tools.map((tool) => objectOf(objectOf(tool)["function"])["name"]);
  expect(names).toContain("WebFetch");
});

test("what Claude Code says of itself alone does not reach a chat upstream", async () => {
  const target = stage.target("chat");
  await play(target, TOOL_LOOP);
  const seen = target.upstream.requests.map(({ headers, body }) => ({ headers, body }));
  for (const own of ["x-anthropic-billing-header", "cache_control", CLIENT_KEY]) {
    expect(JSON.stringify(seen)).not.toContain(own);
  }
});

test("a picture that Claude Code reads follows its result at a chat upstream", async () => {
  const target = stage.target("chat");
  await play(target, picture({ tool: /^Read$/, input: { file_path: "red.png" } }));
  const messages = listOf(target.upstream.mainRequests.at(-1)?.body["messages"]).map(objectOf);
  const shown = messages.findIndex((message) => JSON.stringify(message).includes("image_url"));
  expect(messages[shown]?.["role"]).toBe("user");
  expect(messages[shown - 1]?.["role"]).toBe("tool");
});

test("Claude Code counts the tokens of its parts at an Anthropic upstream", async () => {
  const { upstream, ...way } = stage.target("messages");
  upstream.begin([]);
  await inWorkplace(async (place) => {
    const { report, code } = await runClaudeCode({ place, prompt: "/context", ...way });
    expect(code).toBe(0);
    expect(String(report["result"])).toContain("Context Usage");
  });
  expect(upstream.complaints).toEqual([]);
  expect(new Set(upstream.requests.map(({ path }) => path))).toEqual(
    new Set(["/v1/messages/count_tokens"]),
  );
});
