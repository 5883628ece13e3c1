import { readFile } from "node:fs/promises";
import { Value } from "@sinclair/typebox/value";
import { CortexError, describeError } from "../base/errors.ts";
import type { GatewayConfig } from "../config/gateway-schema.ts";
import type { ModelProfiles } from "../config/models-schema.ts";
import { type Status, StatusSchema } from "../protocol/status.ts";
import type { FareFigures, ReplayReport } from "../simulation/replay-report.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { type Style, styleFor } from "./frame/style.ts";
import { formatTable } from "./frame/table.ts";

/** `cortex simulate`: how the requests of a log would have fared under another configuration. */
export const simulateCommand = defineCliCommand({
  name: "simulate",
  summary: "Replay a request log under another configuration, without a GPU and in seconds",
  details: [
    "The gateway's own routing, loading and evicting run on a virtual clock over simulated neurons.\n" +
      "Reported are cold loads, evictions, which make room for another model, unloads of idle models\n" +
      "that nobody needed the room of, and how long clients wait for their first token.",
    "The log has one JSON object on each line: time_ms, model, prompt_tokens, completion_tokens, and\n" +
      "where they are known session, prefix with prefix_tokens, and stream.",
    "Devices, models and measured speeds are those of a running gateway, or of a file that holds what\n" +
      "cortex status --json printed. With --before-config or --before-models the log is replayed twice.",
  ],
  args: {
    log: { type: "string", valueHint: "FILE", required: true, description: "requests to replay" },
    config: { type: "string", valueHint: "FILE", description: "cortex.toml to try" },
    models: { type: "string", valueHint: "FILE", description: "models.toml to try" },
    "before-config": {
      type: "string",
      valueHint: "FILE",
      description: "cortex.toml to compare with",
    },
    "before-models": {
      type: "string",
      valueHint: "FILE",
      description: "models.toml to compare with",
    },
    neurons: {
      type: "string",
      valueHint: "FILE",
      description: "what cortex status --json printed; default: ask the gateway",
    },
    seed: { type: "string", valueHint: "NUMBER", description: "of all chance (default: 1)" },
    ...clientFlags("10"),
  },
  examples: [
    "simulate --log requests.jsonl --models models.toml",
    "simulate --log requests.jsonl --models new.toml --before-models old.toml --neurons status.json",
  ],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const { readRequestLog } = await import("../simulation/request-log.ts");
    const { readSnapshot } = await import("../simulation/snapshot.ts");
    const { replay } = await import("../simulation/replay.ts");
    const seed = readWhole(args.seed, "--seed") ?? 1;
    const records = readRequestLog(await readText(args.log), args.log);
    const status =
      args.neurons === undefined
        ? await openClient(args).get("/admin/status", StatusSchema)
        : await readStatus(args.neurons);
    const run = async (files: ConfigurationFiles): Promise<ReplayReport> => {
      const { config, profiles } = await loadConfiguration(files, status);
      return replay({ records, neurons: readSnapshot(status, config), config, profiles, seed });
    };
    const beforeFiles = { config: args["before-config"], models: args["before-models"] };
    const isCompared = beforeFiles.config !== undefined || beforeFiles.models !== undefined;
    const before = isCompared ? await run(beforeFiles) : undefined;
    const after = await run({ config: args.config, models: args.models });
    const answer = before === undefined ? after : { before, after };
    const text = `${formatReports({ before, after }, styleFor(process.stdout))}\n`;
    printAnswer("simulate", args, { data: answer, text });
    return EXIT.ok;
  },
});

interface ConfigurationFiles {
  readonly config: string | undefined;
  readonly models: string | undefined;
}

/** A configuration without neurons gets those of the status. */
async function loadConfiguration(
  files: ConfigurationFiles,
  status: Status,
): Promise<{ readonly config: GatewayConfig; readonly profiles: ModelProfiles }> {
  const { loadGatewayConfig } = await import("../config/load-gateway-config.ts");
  const { loadModelProfiles } = await import("../config/load-model-profiles.ts");
  const { listNeurons } = await import("../simulation/snapshot.ts");
  const loaded = await loadGatewayConfig({ file: files.config });
  const neurons = loaded.config.neurons.length > 0 ? loaded.config.neurons : listNeurons(status);
  const { profiles } = await loadModelProfiles({
    file: files.models,
    configFile: loaded.file,
    neuronNames: neurons.map(({ name }) => name),
  });
  return { config: { ...loaded.config, neurons }, profiles };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    throw new CortexError("usage", `Cannot read ${file}: ${describeError(thrown)}`);
  }
}

async function readStatus(file: string): Promise<Status> {
  let value: unknown;
  try {
    value = JSON.parse(await readText(file));
  } catch (thrown) {
    if (thrown instanceof CortexError) throw thrown;
    throw new CortexError("invalid_config", `${file}: ${describeError(thrown)}`);
  }
  if (Value.Check(StatusSchema, value)) return value;
  const first = Value.Errors(StatusSchema, value).First();
  throw new CortexError("invalid_config", `${file}: ${first?.path} ${first?.message}`, {
    hint: `cortex status --json > ${file}`,
  });
}

function formatReports(
  reports: { readonly before: ReplayReport | undefined; readonly after: ReplayReport },
  style: Style,
): string {
  const { before, after } = reports;
  const ids = [...new Set([...Object.keys(before?.models ?? {}), ...Object.keys(after.models)])];
  const rows = [undefined, ...ids.toSorted()].flatMap((id) => {
    const name = id ?? "all";
    const now = id === undefined ? after.total : after.models[id];
    if (before === undefined) return [figuresRow([name], now)];
    const then = id === undefined ? before.total : before.models[id];
    return [figuresRow([name, "before"], then), figuresRow(["", "after"], now)];
  });
  const header = [
    "MODEL",
    ...(before === undefined ? [] : [""]),
    ...[
      "REQUESTS",
      "FAILED",
      "LOADS",
      "EVICTIONS",
      "IDLE UNLOADS",
      "WAITED",
      "MEAN",
      "P50",
      "P90",
      "P99",
      "MAX",
    ],
  ];
  const table = formatTable(header, rows, { right: header.slice(2), paintHeader: style.bold });
  return [table, ...describeFailures("", after), ...describeFailures(" before", before)].join("\n");
}

function figuresRow(names: readonly string[], fare: FareFigures | undefined): string[] {
  if (fare === undefined) return [...names, "-"];
  const { ttft_seconds: ttft } = fare;
  const seconds = (value: number) => value.toFixed(value < 100 ? 2 : 0);
  return [
    ...names,
    String(fare.requests),
    String(fare.failed),
    String(fare.cold_loads),
    String(fare.evictions),
    String(fare.idle_unloads),
    seconds(fare.waiting_seconds),
    ...[ttft.mean, ttft.p50, ttft.p90, ttft.p99, ttft.max].map(seconds),
  ];
}

function describeFailures(when: string, report: ReplayReport | undefined): string[] {
  const failures = Object.entries(report?.failures ?? {});
  if (failures.length === 0) return [];
  const list = failures.map(([status, count]) => `${count} with ${status}`).join(", ");
  return ["", `Failed${when}: ${list}`];
}
