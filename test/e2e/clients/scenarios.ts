import { expect } from "bun:test";
import type { ClientRun, Workplace } from "./client-process.ts";
import type { NamedCall, Spoken, Step } from "./script.ts";
import type { ScriptedUpstream } from "./scripted-upstream.ts";

/** What every client is told; the script does not read it. */
export const PROMPT = "Make the file and say what its number is";
/** The last words of every script. */
export const FINAL_TEXT = "All is done, and the number is 4711.";

const FINAL: Step = { text: FINAL_TEXT };

/** A script and what it has to leave behind. */
export interface Scenario {
  readonly steps: readonly Step[];
  /** Files in the working folder with their content, undefined for one that must not be there. */
  readonly files: Readonly<Record<string, string | undefined>>;
  /** What the commands print: it must come back to the upstream as the results of its calls. */
  readonly printed: readonly string[];
}

const WRITE = "echo 4711 > made.txt && echo first-$((40 + 2))";
const WRITE_OTHER = "echo 4712 > other.txt && echo second-$((40 + 3))";
const FAIL = "echo third-$((40 + 4)); exit 3";
const LOOP: Spoken = { calls: [WRITE], text: "I make the file." };

/** One command, its result, a last text. */
export const TOOL_LOOP: Scenario = {
  steps: [LOOP, FINAL],
  files: { "made.txt": "4711\n" },
  printed: ["first-42"],
};

/** What the thinking steps say; Anthropic wants it back as it was. */
export const THINKING = {
  text: "The user wants a file: I make it.",
  signature: "c2lnbmVkLWJ5LXNjcmlwdA==",
} as const;

/** Thinking, text and a command; two commands at once without a text, of which one fails; the end. */
export const LONG_LOOP: Scenario = {
  steps: [{ ...LOOP, thinking: THINKING }, { calls: [WRITE_OTHER, FAIL] }, FINAL],
  files: { "made.txt": "4711\n", "other.txt": "4712\n" },
  printed: ["first-42", "second-43", "third-44"],
};

/** Eight times eight red pixels. */
const PNG_BASE64 =
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkAKP8/wc53" +
  "yE8AAAAASUVORK5CYII=";

/** A picture is made and looked at, by the tool that the client has for it. */
export function picture(look: NamedCall): Scenario {
  const make = `echo ${PNG_BASE64} | base64 -d > red.png`;
  return { ...TOOL_LOOP, steps: [{ calls: [make] }, { calls: [look] }, ...TOOL_LOOP.steps] };
}

/** The upstream has too much to do, then it serves. */
export const OVERLOADED_FIRST: Scenario = {
  ...TOOL_LOOP,
  steps: [{ refusal: "overloaded" }, ...TOOL_LOOP.steps],
};

/** The first answer breaks off in the middle of a command, which must not be run. */
export function brokenFirst(ending: "cut" | "error"): Scenario {
  const broken = "echo never > never.txt; echo never > never.txt; echo never > never.txt";
  return {
    ...TOOL_LOOP,
    steps: [{ text: "I will", calls: [broken], ending }, ...TOOL_LOOP.steps],
    files: { ...TOOL_LOOP.files, "never.txt": undefined },
  };
}

/** The prompt does not fit: to try again would not help. */
export const OVERFLOW: Scenario = { steps: [{ refusal: "overflow" }], files: {}, printed: [] };

/** Checks what a run must leave: its end, files, an upstream that saw no fault and the results of all calls. */
export async function expectScenario(
  scenario: Scenario,
  after: {
    readonly upstream: ScriptedUpstream;
    readonly place: Workplace;
    readonly run: ClientRun;
    /** Complaints that the client itself, not the gateway, gives reason for. */
    readonly borne?: RegExp;
  },
): Promise<void> {
  const { upstream, place, run, borne } = after;
  const complaints = upstream.complaints.filter((line) => borne?.test(line) !== true);
  // One comparison, so that a failure shows all of them.
  expect({
    complaints,
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
