import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeTinyModel } from "../../../scripts/make-tiny-model.ts";
import { Cluster } from "../processes.ts";
import { parseJsonLines } from "./client-process.ts";
import { runClaudeCode } from "./run-claude-code.ts";
import { runCodex } from "./run-codex.ts";
import { runOpencode } from "./run-opencode.ts";
import { objectOf } from "./script.ts";
import { CLIENT_KEY, inWorkplace } from "./stage.ts";

/**
 * A real engine with a model of one layer and random weights: what it says is noise, but the clients' long prompts,
 * one token a character or two, go through every part of the neuron. Longer than any of them.
 */
const CONTEXT_TOKENS = 131_072;
const PROMPT = "Say something";
/** Claude Code's prompt has 44,000 tokens here: 10 s on two idle cores, the longer the busier they are. */
const RUN_DEADLINE_MS = 150_000;
const TEST_DEADLINE_MS = RUN_DEADLINE_MS + 10_000;

let cluster: Cluster;
let target: { readonly endpoint: string; readonly key: string; readonly model: string };

beforeAll(async () => {
  cluster = await Cluster.create();
  const modelsDir = join(cluster.folder, "models");
  await mkdir(modelsDir);
  await makeTinyModel(join(modelsDir, "tiny-long.gguf"), {
    contextLength: CONTEXT_TOKENS,
    layers: 1,
    // Codex and Claude Code set no limit that noise would keep to.
    ends: true,
  });
  await cluster.addNeuron("long", {
    modelsDir,
    toml: `\n[defaults]\ncontext = ${CONTEXT_TOKENS}\nslots = 2`,
  });
  await cluster.startGateway();
  target = { endpoint: cluster.url, key: CLIENT_KEY, model: "tiny-long" };
});

afterAll(async () => {
  await cluster.stop();
});

test(
  "opencode finishes a turn on a neuron",
  async () => {
    await inWorkplace(async (place) => {
      const run = await runOpencode({
        place,
        prompt: PROMPT,
        deadlineMs: RUN_DEADLINE_MS,
        provider: "@ai-sdk/openai-compatible",
        limit: { context: CONTEXT_TOKENS, output: 1_000 },
        ...target,
      });
      const parts = parseJsonLines(run.stdout).map((event) => objectOf(event["part"]));
      const output = `${run.stdout}\n${run.stderr}`;
      expect({ code: run.code, output: run.code === 0 ? "" : output }).toEqual({
        code: 0,
        output: "",
      });
      expect(String(parts.find((part) => part["type"] === "text")?.["text"])).toMatch(/[a-m.]$/);
      const finish = parts.find((part) => part["type"] === "step-finish");
      expect(objectOf(finish?.["tokens"])["output"]).toBeGreaterThan(0);
      expect(objectOf(finish?.["tokens"])["input"]).toBeGreaterThan(1_000);
    });
  },
  TEST_DEADLINE_MS,
);

test(
  "Claude Code finishes a turn on a neuron",
  async () => {
    await inWorkplace(async (place) => {
      const { report, ...run } = await runClaudeCode({
        place,
        prompt: PROMPT,
        deadlineMs: RUN_DEADLINE_MS,
        ...target,
      });
      expect({ code: run.code, isError: report["is_error"], result: report["result"] }).toEqual({
        code: 0,
        isError: false,
        result: expect.stringMatching(/[a-m.]$/),
      });
      const usage = objectOf(report["usage"]);
      expect(usage["output_tokens"]).toBeGreaterThan(0);
      expect(usage["input_tokens"]).toBeGreaterThan(1_000);
    });
  },
  TEST_DEADLINE_MS,
);

test(
  "Codex finishes a turn on a neuron",
  async () => {
    await inWorkplace(async (place) => {
      const run = await runCodex({ place, prompt: PROMPT, deadlineMs: RUN_DEADLINE_MS, ...target });
      const events = parseJsonLines(run.stdout);
      const output = `${run.stdout}\n${run.stderr}`;
      expect({ code: run.code, output: run.code === 0 ? "" : output }).toEqual({
        code: 0,
        output: "",
      });
      const last = events.at(-1);
      expect(last?.["type"]).toBe("turn.completed");
      expect(objectOf(last?.["usage"])["input_tokens"]).toBeGreaterThan(1_000);
      expect(objectOf(last?.["usage"])["output_tokens"]).toBeGreaterThan(0);
      const message = events
        .map((event) => objectOf(event["item"]))
        .find((item) => item["type"] === "agent_message");
      expect(String(message?.["text"])).toMatch(/[a-m.]$/);
    });
  },
  TEST_DEADLINE_MS,
);
