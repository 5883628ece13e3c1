import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ClientRun, parseJsonLines } from "./client-process.ts";
import { runCodex } from "./run-codex.ts";
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
import { ScriptedUpstream } from "./scripted-upstream.ts";
import { directTarget, inWorkplace, Stage, type Target } from "./stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open();
});

afterAll(async () => {
  await stage.close();
});

/** Plays the scenario and returns what Codex said, event by event. */
async function play(
  { upstream, ...way }: Target,
  scenario: Scenario,
): Promise<readonly JsonObject[]> {
  upstream.begin(scenario.steps);
  let run: ClientRun | undefined;
  await inWorkplace(async (place) => {
    run = await runCodex({ place, prompt: PROMPT, ...way });
    await expectScenario(scenario, { upstream, place, run });
  });
  const events = parseJsonLines(run?.stdout ?? "");
  const messages = events
    .map((event) => objectOf(event["item"]))
    .filter((item) => item["type"] === "agent_message");
  expect(messages.at(-1)?.["text"]).toBe(FINAL_TEXT);
  return events;
}

test("Codex plays the tool loop without a gateway", async () => {
  const upstream = await ScriptedUpstream.start("responses");
  try {
    await play(directTarget(upstream), TOOL_LOOP);
  } finally {
    await upstream.stop();
  }
});

for (const dialect of ["chat", "messages"] as const) {
  describe(`Codex over an upstream that speaks ${dialect}`, () => {
    test("runs a command, sends its result and prints the answer, with the upstream's usage", async () => {
      const events = await play(stage.target(dialect), TOOL_LOOP);
      expect(events.at(-1)).toMatchObject({
        type: "turn.completed",
        usage: {
          input_tokens: 2 * SCRIPTED_USAGE.input,
          cached_input_tokens: 2 * SCRIPTED_USAGE.cached,
          output_tokens: 2 * SCRIPTED_USAGE.output,
        },
      });
    });

    test("runs one command after the other", async () => {
      await play(stage.target(dialect), LONG_LOOP);
    });

    test("runs two commands of one turn", async () => {
      await play(stage.target(dialect), PARALLEL_CALLS);
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

test("tools in Codex's namespaces reach a chat upstream as functions of their own", async () => {
  const target = stage.target("chat");
  await play(target, TOOL_LOOP);
  const tools = listOf(target.upstream.mainRequests[0]?.body["tools"]);
  const names = tools.map((tool) => String(objectOf(objectOf(tool)["function"])["name"]));
  expect(names).toContain("exec_command");
  expect(names.filter((name) => name.endsWith("spawn_agent"))).toHaveLength(1);
});
