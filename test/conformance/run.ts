/**
 * Conformance of any server with the dialects, over plain HTTP.
 *
 *   bun test/conformance/run.ts --url http://127.0.0.1:31313 --model NAME [--key KEY] [--context 8192]
 *                               [--only TOPIC] [--dialect NAME] [--name TEXT] [--parallel 4] [--json]
 *   bun test/conformance/run.ts --compare [--model FILE]
 *
 * --compare starts the compiled gateway with a neuron, and llama-server built from the same source, on one model and
 * prints both as a table. Exit code 1 when a case failed (of cortex, with --compare).
 */
import { parseArgs } from "node:util";
import { ALL_CASES } from "./all-cases.ts";
import { compareServers } from "./compare-servers.ts";
import { formatResult, formatTotals, toJson } from "./report.ts";
import { runCases } from "./run-cases.ts";
import { Target } from "./target.ts";

const { values: flags } = parseArgs({
  options: {
    url: { type: "string" },
    model: { type: "string" },
    key: { type: "string", default: "none" },
    context: { type: "string", default: "8192" },
    only: { type: "string" },
    dialect: { type: "string" },
    name: { type: "string" },
    parallel: { type: "string", default: "4" },
    json: { type: "boolean", default: false },
    compare: { type: "boolean", default: false },
  },
});

process.exit((await main()) ? 0 : 1);

async function main(): Promise<boolean> {
  const cases = ALL_CASES.filter(
    (it) =>
      (flags.only === undefined || it.topic === flags.only) &&
      (flags.dialect === undefined || it.dialect === flags.dialect) &&
      (flags.name === undefined || it.name.includes(flags.name)),
  );
  if (cases.length === 0) throw new Error("No case has that topic, dialect and name");
  const print = (text: string) => process.stdout.write(`${text}\n`);
  const parallel = Number(flags.parallel);
  if (flags.compare) {
    return await compareServers(cases, { modelFile: flags.model, parallel, print });
  }
  const { url, model, key, context } = flags;
  if (url === undefined || model === undefined) throw new Error("--url and --model are needed");
  const target = new Target({ url, model, key, contextTokens: Number(context) });
  const results = await runCases(target, cases, {
    parallel,
    ...(flags.json ? {} : { onResult: (result) => print(formatResult(result)) }),
  });
  print(flags.json ? toJson(results) : `\n${formatTotals(results)}`);
  return results.every(({ failure }) => failure === undefined);
}
