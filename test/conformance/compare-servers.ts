import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { buildLlamaServer } from "../../scripts/build-native.ts";
import { getModel } from "../../scripts/get-model.ts";
import { Cluster, findFreePort, waitUntil } from "../e2e/processes.ts";
import type { ConformanceCase } from "./conformance-case.ts";
import { formatComparison, formatResult } from "./report.ts";
import { type CaseResult, runCases } from "./run-cases.ts";
import { Target } from "./target.ts";

const MODEL = "conformance";
/** Of one request; four may run at once on either server. */
const CONTEXT_TOKENS = 8192;
const SLOTS = 4;
/** A cold start reads the model from disk. */
const START_DEADLINE_MS = 60_000;

/** Runs the cases on llama-server and on gateway + neuron, one after the other; true when all pass on the latter. */
export async function compareServers(
  cases: readonly ConformanceCase[],
  options: {
    /** The default model where undefined. */
    readonly modelFile: string | undefined;
    readonly parallel: number;
    readonly print: (text: string) => void;
  },
): Promise<boolean> {
  const { parallel, print } = options;
  const folder = await mkdtemp(join(tmpdir(), "cortex-conformance-"));
  const modelFile = options.modelFile ?? (await getModel());
  try {
    await symlink(modelFile, join(folder, `${MODEL}.gguf`));
    const run = async (target: Target) => {
      return await runCases(target, cases, {
        parallel,
        onResult: (result) => print(formatResult(result)),
      });
    };
    print("\nllama-server");
    const reference = await withLlamaServer(folder, run);
    print("\ncortex");
    const own = await withCortex(folder, run);
    print(`\n${basename(modelFile)}, ${cases.length} cases\n`);
    print(
      formatComparison([
        { name: "llama-server", results: reference },
        { name: "cortex", results: own },
      ]),
    );
    return own.every(({ failure }) => failure === undefined);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type Run = (target: Target) => Promise<CaseResult[]>;

async function withLlamaServer(folder: string, run: Run): Promise<CaseResult[]> {
  const executable = await buildLlamaServer();
  const port = findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const child = Bun.spawn(
    [
      executable,
      ...["--model", join(folder, `${MODEL}.gguf`), "--alias", MODEL, "--jinja"],
      ...["--host", "127.0.0.1", "--port", String(port)],
      ...["--parallel", String(SLOTS), "--ctx-size", String(SLOTS * CONTEXT_TOKENS)],
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );
  try {
    const isUp = () =>
      fetch(`${url}/health`).then(
        ({ ok }) => ok,
        () => false,
      );
    await waitUntil(isUp, { deadlineMs: START_DEADLINE_MS, what: () => "llama-server" });
    return await run(new Target({ url, model: MODEL, contextTokens: CONTEXT_TOKENS }));
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

async function withCortex(folder: string, run: Run): Promise<CaseResult[]> {
  const cluster = await Cluster.create();
  try {
    const neuron = await cluster.addNeuron("one", {
      modelsDir: folder,
      toml: `[defaults]\nslots = ${SLOTS}\ncontext = ${CONTEXT_TOKENS}`,
    });
    await neuron.post("/models/load", { model: MODEL });
    await cluster.startGateway();
    return await run(new Target({ url: cluster.url, model: MODEL, contextTokens: CONTEXT_TOKENS }));
  } finally {
    await cluster.stop();
  }
}
