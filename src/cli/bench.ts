import type { Static } from "@sinclair/typebox";
import { systemClock } from "../base/clock.ts";
import { CortexError } from "../base/errors.ts";
import type { BenchSchema } from "../protocol/bench-report.ts";
import { GatewayHealthSchema, StatusSchema } from "../protocol/status.ts";
import type { BenchTarget } from "./bench/bench-request.ts";
import { BENCH_DIALECTS, type BenchDialectName, DIALECTS } from "./bench/dialects.ts";
import { formatBench } from "./bench/format-bench.ts";
import { compareReports, LoadTally } from "./bench/load-tally.ts";
import { type LoadShape, type RoundLimit, runLoad } from "./bench/run-load.ts";
import type { AdminClient } from "./client/admin-client.ts";
import { clientFlags, openClient, readWhole } from "./client/client-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { ProgressView } from "./frame/progress-view.ts";
import { styleFor } from "./frame/style.ts";

/** Sent as key to the gateway, and to the endpoint that it is compared with. */
const KEY_VARIABLE = "CORTEX_API_KEY";
const COMPARE_KEY_VARIABLE = "CORTEX_COMPARE_KEY";
/** What this process can carry without measuring itself. */
const CLIENTS_MAX = 1024;
const REQUESTS_MAX = 100_000;
const SECONDS_MAX = 3600;
const TOKENS_MAX = 1_000_000;
/** Turns of each endpoint: what else the machine does falls on both. */
const ROUNDS = 4;

/** `cortex bench [MODEL]`: a load, and how it was answered. */
export const benchCommand = defineCliCommand({
  name: "bench",
  summary: "Put a load on a gateway and print throughput, latencies and errors",
  details: [
    "Keeps --clients requests under way until --requests were answered or --seconds are over. Without\n" +
      "MODEL the first one that is ready is asked. Every prompt is another one, so that caches of prompts\n" +
      "do not answer; its length is about --prompt-tokens. Ctrl-C ends it and prints what there is.",
    "--compare puts the same load on a second endpoint that speaks the same dialect, in turns, and prints\n" +
      `the ratios. $${KEY_VARIABLE} is sent to the gateway, $${COMPARE_KEY_VARIABLE} to the other one.`,
  ],
  args: {
    model: { type: "positional", required: false, description: "its id or an alias" },
    clients: { type: "string", valueHint: "COUNT", description: "requests at a time (default: 8)" },
    requests: { type: "string", valueHint: "COUNT", description: "requests in all (default: 100)" },
    seconds: { type: "string", valueHint: "SECONDS", description: "time in place of a number" },
    "prompt-tokens": {
      type: "string",
      valueHint: "COUNT",
      description: "of a prompt (default: 256)",
    },
    "max-tokens": { type: "string", valueHint: "COUNT", description: "of an answer (default: 64)" },
    dialect: {
      type: "enum",
      options: [...BENCH_DIALECTS],
      default: "chat",
      valueHint: "NAME",
      description: "how to ask",
    },
    compare: { type: "string", valueHint: "URL", description: "a second endpoint, host and port" },
    "compare-model": { type: "string", valueHint: "NAME", description: "the model's name there" },
    ...clientFlags("120"),
  },
  examples: [
    "bench smollm2",
    "bench qwen3-8b --clients 32 --seconds 60 --prompt-tokens 2000 --max-tokens 200",
    "bench qwen3-8b --compare http://127.0.0.1:8080 --compare-model default --json",
  ],
  exits: ["failed", "usage", "unreachable", "interrupted"],
  run: async (args) => {
    const dialect = args.dialect as BenchDialectName;
    const shape: LoadShape = {
      dialect: DIALECTS[dialect],
      clients: readCount(args.clients, { flag: "--clients", fallback: 8, max: CLIENTS_MAX }),
      promptTokens: readCount(args["prompt-tokens"], {
        ...{ flag: "--prompt-tokens", fallback: 256, max: TOKENS_MAX },
      }),
      tokensMax: readCount(args["max-tokens"], {
        ...{ flag: "--max-tokens", fallback: 64, max: TOKENS_MAX },
      }),
      timeoutMs: Number(args.timeout) * 1000,
    };
    const limit = readLimit(args);
    const other = readOther(args);
    const client = openClient(args);
    const model = args.model ?? (await findReady(client));
    // Whether a gateway answers at all is said before the load.
    await client.get("/health", GatewayHealthSchema);
    const own: BenchTarget = { url: client.url, model, key: process.env[KEY_VARIABLE] };
    const targets = other === undefined ? [own] : [own, { ...other, model: other.model ?? model }];
    const quiet = args.quiet === true;
    const { tallies, interrupted } = await bench(targets, { shape, limit, quiet });
    const [result, compare] = tallies.map((tally) => tally.report());
    if (result === undefined) throw new Error("A bench without a target");
    const data: Static<typeof BenchSchema> = {
      ...{ dialect, clients: shape.clients, interrupted, result },
      ...(compare === undefined ? {} : { compare, ratios: compareReports(result, compare) }),
    };
    printAnswer("bench", args, { data, text: formatBench(data, styleFor(process.stdout)) });
    if (interrupted) return EXIT.interrupted;
    return result.failed > 0 && result.failed === result.requests ? EXIT.failed : EXIT.ok;
  },
});

/** Gives each endpoint its turns, until the limits or Ctrl-C. */
async function bench(
  targets: readonly BenchTarget[],
  load: { readonly shape: LoadShape; readonly limit: RoundLimit; readonly quiet: boolean },
): Promise<{ readonly tallies: readonly LoadTally[]; readonly interrupted: boolean }> {
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort(new CortexError("cancelled", "Interrupted"));
  process.once("SIGINT", onSignal);
  const tallies = targets.map((target) => new LoadTally(target));
  const rounds = targets.length === 1 ? 1 : ROUNDS;
  const { requestsMax, durationMs } = load.limit;
  const show = watchProgress(tallies, { ...load, rounds });
  let number = 0;
  try {
    for (let round = 0; round < rounds; round += 1) {
      const requests = shareOf(requestsMax, round, rounds);
      if (requests === 0) continue;
      for (const [index, target] of targets.entries()) {
        const tally = tallies[index];
        if (tally === undefined || interrupt.signal.aborted) continue;
        const seconds = await runLoad(target, {
          ...{ shape: load.shape, clock: systemClock, signal: interrupt.signal },
          limit: { requestsMax: requests, durationMs: durationMs / rounds },
          nextNumber: () => number++,
          onSample: (sample) => {
            tally.add(sample);
            show.draw();
          },
        });
        tally.addSeconds(seconds);
      }
    }
  } finally {
    process.off("SIGINT", onSignal);
    show.end();
  }
  return { tallies, interrupted: interrupt.signal.aborted };
}

/** Whole numbers whose sum is the whole. */
function shareOf(whole: number, round: number, rounds: number): number {
  return Math.floor((whole * (round + 1)) / rounds) - Math.floor((whole * round) / rounds);
}

/** A bar on a terminal; nothing elsewhere. */
function watchProgress(
  tallies: readonly LoadTally[],
  load: { readonly limit: RoundLimit; readonly quiet: boolean; readonly rounds: number },
): { draw(): void; end(): void } {
  const output = process.stderr;
  const nowMs = () => systemClock.monotonicMs();
  const view = new ProgressView({ output, style: styleFor(output), nowMs, unit: "share" });
  const isShown = output.isTTY === true && !load.quiet;
  const startMs = nowMs();
  const { requestsMax, durationMs } = load.limit;
  return {
    draw: () => {
      if (!isShown) return;
      const done = tallies.reduce((sum, tally) => sum + tally.done, 0);
      const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0);
      const label = `${done} requests, ${failed} failed`;
      const byTime = durationMs > 0;
      const total = byTime ? durationMs * tallies.length : requestsMax * tallies.length;
      view.show({ label, done: Math.min(total, byTime ? nowMs() - startMs : done), total });
    },
    end: () => view.clear(),
  };
}

function readLimit(args: {
  readonly requests?: string | undefined;
  readonly seconds?: string | undefined;
}): RoundLimit {
  const { requests, seconds } = args;
  const fallback = seconds === undefined ? 100 : REQUESTS_MAX;
  return {
    requestsMax: readCount(requests, { flag: "--requests", fallback, max: REQUESTS_MAX }),
    durationMs:
      seconds === undefined
        ? 0
        : readCount(seconds, { flag: "--seconds", fallback: 0, max: SECONDS_MAX }) * 1000,
  };
}

function readCount(
  text: string | undefined,
  rule: { readonly flag: string; readonly fallback: number; readonly max: number },
): number {
  const count = readWhole(text, rule.flag) ?? rule.fallback;
  if (count >= 1 && count <= rule.max) return count;
  const message = `Cannot read ${rule.flag} ${text}: it must be from 1 to ${rule.max}`;
  throw new CortexError("usage", message);
}

function readOther(args: {
  readonly compare?: string | undefined;
  readonly "compare-model"?: string | undefined;
}):
  | { readonly url: string; readonly model: string | undefined; readonly key: string | undefined }
  | undefined {
  const { compare, "compare-model": model } = args;
  if (compare === undefined) {
    if (model === undefined) return undefined;
    throw new CortexError("usage", `--compare-model ${model} is of no use: --compare is missing`);
  }
  const url = URL.parse(/^https?:\/\//.test(compare) ? compare : `http://${compare}`);
  if (url === null || !["/", "/v1", "/v1/"].includes(url.pathname) || url.search !== "") {
    const message = `Cannot read --compare ${compare}: it must be http://host:port`;
    throw new CortexError("usage", message, { hint: "--compare http://127.0.0.1:8080" });
  }
  return { url: url.origin, model, key: process.env[COMPARE_KEY_VARIABLE] };
}

/** The first model that is ready and generates. */
async function findReady(client: AdminClient): Promise<string> {
  const { models } = await client.get("/admin/status?models=loaded", StatusSchema);
  const ready = models.find(
    ({ state, capabilities }) =>
      state === "ready" && capabilities.some((one) => one === "chat" || one === "completion"),
  );
  if (ready !== undefined) return ready.id;
  throw new CortexError("usage", "No model is loaded that could be asked: name one", {
    hint: "cortex models",
  });
}
