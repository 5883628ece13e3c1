import { expect } from "bun:test";
import type { ClientRun, Workplace } from "./client-process.ts";
import type { Step } from "./script.ts";
import type { ScriptedUpstream } from "./scripted-upstream.ts";

/** What every client is told; the script does not read it. */
export const PROMPT = "Make the file and say what its number is";
/** The last words of every script. */
export const FINAL_TEXT = "All is done, and the number is 4711.";

const FINAL: Step = { kind: "text", text: FINAL_TEXT };

/** A script and what it has to leave behind. */
export interface Scenario {
  readonly steps: readonly Step[];
  /** Files in the working folder with their content. */
  readonly files: Readonly<Record<string, string>>;
  /** What the commands print: it must come back to the upstream as the results of its calls. */
  readonly printed: readonly string[];
}

const WRITE = "echo 4711 > made.txt && echo first-$((40 + 2))";
const WRITE_OTHER = "echo 4712 > other.txt && echo second-$((40 + 3))";
const LOOP: Step = { kind: "calls", commands: [WRITE], text: "I make the file." };

/** One command, its result, a last text. */
export const TOOL_LOOP: Scenario = {
  steps: [LOOP, FINAL],
  files: { "made.txt": "4711\n" },
  printed: ["first-42"],
};

/** Two commands at once, with no text before them. */
export const PARALLEL_CALLS: Scenario = {
  steps: [{ kind: "calls", commands: [WRITE, WRITE_OTHER] }, FINAL],
  files: { "made.txt": "4711\n", "other.txt": "4712\n" },
  printed: ["first-42", "second-43"],
};

/** Three commands, one turn after the other: the history grows. */
export const LONG_LOOP: Scenario = {
  steps: [LOOP, { kind: "calls", commands: [WRITE_OTHER] }, FINAL],
  files: { "made.txt": "4711\n", "other.txt": "4712\n" },
  printed: ["first-42", "second-43"],
};

/** A command that fails without a word. */
export const FAILING_COMMAND: Scenario = {
  steps: [{ kind: "calls", commands: ["echo 4711 > made.txt; exit 3"] }, FINAL],
  files: { "made.txt": "4711\n" },
  printed: [],
};

/** The upstream has too much to do, then it serves. */
export function overloadedFirst(status: number): Scenario {
  return { ...TOOL_LOOP, steps: [{ kind: "overloaded", status }, ...TOOL_LOOP.steps] };
}

/** The first answer breaks off in the middle of its text. */
export const CUT_FIRST: Scenario = {
  ...TOOL_LOOP,
  steps: [
    {
      kind: "cut",
      text: "This sentence is long enough to be sent in many pieces, but never ends.",
    },
    ...TOOL_LOOP.steps,
  ],
};

/** The model thinks before it calls. */
export const THINKING: Scenario = {
  ...TOOL_LOOP,
  steps: [
    {
      ...LOOP,
      thinking: {
        text: "The user wants a file: I make it.",
        signature: "c2lnbmVkLWJ5LXNjcmlwdA==",
      },
    },
    FINAL,
  ],
};

/** Checks what a run must leave: its end, files, an upstream that saw no fault and the results of all calls. */
export async function expectScenario(
  scenario: Scenario,
  after: {
    readonly upstream: ScriptedUpstream;
    readonly place: Workplace;
    readonly run: ClientRun;
  },
): Promise<void> {
  const { upstream, place, run } = after;
  // One comparison, so that a failure shows all of them.
  expect({
    complaints: upstream.complaints,
    stepsLeft: upstream.stepsLeft,
    code: run.code,
    output: run.code === 0 ? "" : `${run.stdout}\n${run.stderr}`,
  }).toEqual({ complaints: [], stepsLeft: 0, code: 0, output: "" });
  for (const [name, content] of Object.entries(scenario.files)) {
    expect(await place.read(name)).toBe(content);
  }
  const last = upstream.mainRequests.at(-1);
  const conversation = JSON.stringify(last?.body["messages"] ?? last?.body["input"]);
  for (const line of scenario.printed) expect(conversation).toContain(line);
}
