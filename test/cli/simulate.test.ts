import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { commandOutputSchema } from "../../src/protocol/command-output.ts";
import type { Status } from "../../src/protocol/status.ts";
import type { ReplayReport } from "../../src/simulation/replay-report.ts";
import { runMain } from "./run-main.ts";

const GIB = 1024 ** 3;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cortex-simulate-"));
  await Bun.write(join(folder, "status.json"), JSON.stringify(statusOf(["a", "b", "c"])));
  const lines = Array.from({ length: 30 }, (_, index) =>
    JSON.stringify({
      time_ms: index * 20_000,
      model: ["a", "b", "c"][index % 3],
      prompt_tokens: 300,
      completion_tokens: 20,
    }),
  );
  await Bun.write(join(folder, "requests.jsonl"), `${lines.join("\n")}\n`);
  await Bun.write(join(folder, "pinned.toml"), '[[models]]\nid = "a"\npinned = true\n');
  await Bun.write(join(folder, "plain.toml"), '[[models]]\nid = "a"\n');
  await Bun.write(join(folder, "broken.jsonl"), `${lines[0]}\n{"time_ms": 1}\nno\n`);
});

afterAll(() => rm(folder, { recursive: true }));

function statusOf(ids: readonly string[]): Status {
  return {
    version: "0.1.0",
    state: "ok",
    uptime_seconds: 1,
    in_flight: 0,
    waiting: 0,
    loads: 0,
    eviction_strategy: "lru",
    neurons: [
      {
        name: "box",
        endpoint: "http://box:13131",
        state: "up",
        last_seen_ms: 1,
        in_flight: 0,
        devices: [
          {
            ...{ index: 0, kind: "cuda", name: "device", compute_capability: null, state: "ok" },
            ...{ memory_total_bytes: 10 * GIB, memory_free_bytes: 10 * GIB },
          },
        ],
      },
    ],
    models: ids.map((id) => ({
      ...{ id, source: id, aliases: [], state: "absent", priority: 0, pinned: false },
      ...{ in_flight: 0, waiting: 0, capabilities: ["chat"], context: 4_096, context_train: 4_096 },
      ...{ architecture: "x", parameters: 1, quantization: "q", file_bytes: 4 * GIB },
      replicas: [
        {
          ...{ neuron: "box", state: "absent", devices: [], context: 4_096, slots: 2 },
          ...{ slots_busy: 0, pinned: false, in_flight: 0, waiting: 0, last_used_ms: 0 },
        },
      ],
    })),
  } as Status;
}

function simulate(...args: string[]) {
  const paths = args.map((arg) => (arg.includes(".") ? join(folder, arg) : arg));
  return runMain(["simulate", ...paths]);
}

describe("cortex simulate", () => {
  test("two configurations are compared, as a table and as JSON", async () => {
    const args = ["--log", "requests.jsonl", "--neurons", "status.json", "--models", "pinned.toml"];
    const table = await simulate(...args, "--before-models", "plain.toml");
    expect(table.stderr).toBe("");
    expect(table.stdout).toMatch(/^MODEL +REQUESTS +FAILED +LOADS +EVICTIONS/);
    expect(table.stdout).toMatch(/\nall +before +30 +0 /);
    const json = await simulate(...args, "--before-models", "plain.toml", "--json");
    expect(Value.Check(commandOutputSchema("simulate"), JSON.parse(json.stdout))).toBe(true);
    const { before, after } = JSON.parse(json.stdout) as Record<"before" | "after", ReplayReport>;
    expect(before.total.requests).toBe(30);
    expect(after.models["a"]?.cold_loads).toBe(1);
    expect(before.models["a"]?.cold_loads).toBeGreaterThan(5);
  });

  test("bad lines are told with their numbers, and nothing is replayed", async () => {
    const ended = await simulate("--log", "broken.jsonl", "--neurons", "status.json");
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toContain("broken.jsonl:2: model");
    expect(ended.stderr).toContain("broken.jsonl:3: no JSON");
  });

  test("a snapshot that is none, a missing log and a seed that is no number are usage errors", async () => {
    const wrongs = [
      ["--log", "requests.jsonl", "--neurons", "plain.toml"],
      ["--log", "missing.jsonl", "--neurons", "status.json"],
      ["--log", "requests.jsonl", "--neurons", "status.json", "--seed", "x"],
    ];
    for (const args of wrongs) {
      const ended = await simulate(...args);
      expect(ended).toMatchObject({ code: 2, stdout: "" });
    }
  });
});
