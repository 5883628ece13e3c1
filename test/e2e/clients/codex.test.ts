import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ClientRun, parseJsonLines } from "./client-process.ts";
import { runCodex } from "./run-codex.ts";
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
import { ScriptedUpstream } from "./scripted-upstream.ts";
import { directTarget, inWorkplace, MODEL_KNOWN_TO_CODEX, Stage, type Target } from "./stage.ts";

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
  config: Readonly<Record<string, string>> = {},
): Promise<readonly JsonObject[]> {
  upstream.begin(scenario.steps);
  let run: ClientRun | undefined;
  await inWorkplace(async (place) => {
    run = await runCodex({ place, prompt: PROMPT, config, ...way });
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

    test("thinks and runs two commands of one turn", async () => {
      await play(stage.target(dialect), LONG_LOOP);
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
      let run: ClientRun | undefined;
      await inWorkplace(async (place) => {
        run = await runCodex({ place, prompt: PROMPT, ...way });
      });
      expect(run?.stdout).toContain("ran out of room in the model's context window");
      expect(run?.code).toBe(1);
      expect(upstream.mainRequests).toHaveLength(1);
    });

    test("is called by the names of its namespaces", async () => {
      const target = stage.target(dialect);
      const call = { tool: /spawn_agent|close_agent/, input: { target: "nobody" } };
      const steps = [{ calls: [call] }, ...TOOL_LOOP.steps];
      await play(target, { ...TOOL_LOOP, steps });
      const request = JSON.stringify(target.upstream.mainRequests[1]?.body["messages"]);
      expect(request).not.toMatch(/unsupported call|unknown tool/i);
    });
  });
}

test("a picture that Codex views stands in its result at an Anthropic upstream", async () => {
  const target = stage.target("messages");
  await play(target, picture({ tool: /^view_image$/, input: { path: "red.png" } }));
  const messages = listOf(target.upstream.mainRequests.at(-1)?.body["messages"]).map(objectOf);
  const results = messages.flatMap((message) => listOf(message["content"]).map(objectOf));
  const shown = results.filter((block) => JSON.stringify(block["content"])?.includes('"image"'));
  expect(shown.map((block) => block["type"])).toEqual(["tool_result"]);
});

test("Codex's thinking comes back to an Anthropic upstream with its signature", async () => {
  const target = stage.target("messages");
  await play(target, LONG_LOOP, { model_reasoning_effort: "medium" });
  const [, second, third] = target.upstream.mainRequests;
  const { text, signature } = THINKING;
  for (const request of [second, third]) {
    const turn = listOf(request?.body["messages"])
      .map(objectOf)
      .find((message) => message["role"] === "assistant");
    expect(listOf(turn?.["content"])[0]).toEqual({ type: "thinking", thinking: text, signature });
  }
});

test("Codex applies a patch, a tool of free text, that a chat upstream gives as JSON", async () => {
  const target = { ...stage.target("chat"), model: MODEL_KNOWN_TO_CODEX };
  const input = '*** Begin Patch\n*** Add File: patched.txt\n+of one "line"\n*** End Patch\n';
  await play(target, {
    steps: [{ calls: [{ tool: /^apply_patch$/, input: { input } }] }, ...TOOL_LOOP.steps],
    files: { ...TOOL_LOOP.files, "patched.txt": 'of one "line"\n' },
    printed: [...TOOL_LOOP.printed, "patched.txt"],
  });
});
