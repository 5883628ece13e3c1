import { median, spreadOf } from "../statistics.ts";
import { applyLoad, type Contender, readCpuMs } from "./contenders.ts";

const CLIENTS = 32;
const CHUNKS_PER_STREAM = 512;
/** Prometheus asks every fifteen seconds by default; a measurement is shorter. */
const SCRAPE_MS = 1_000;

/** A gateway that tells of its requests as its name says. */
export interface Observed extends Contender {
  readonly metricsPort: number;
}

/**
 * What it costs a gateway to be looked at: the first contender tells of nothing (its counters run, since they cannot be
 * turned off), the others are scraped every second, log each request, write the log of requests and send traces.
 * Measured in turn; prints one line for each figure, with each contender's ratio to the first taken round by round.
 */
export async function measureObservation(
  contenders: readonly Observed[],
  rounds: number,
): Promise<void> {
  const scraped = contenders.slice(1);
  const timer = setInterval(() => {
    for (const contender of scraped) void scrape(contender).catch(() => undefined);
  }, SCRAPE_MS);
  try {
    for (const { port } of contenders) await applyLoad({ port, clients: CLIENTS, seconds: 1 });
    await compare("requests/s", { contenders, rounds }, async ({ port }) => {
      const { requests, seconds } = await applyLoad({ port, clients: CLIENTS });
      return requests / seconds;
    });
    await compare("1,000 SSE chunks/s", { contenders, rounds }, async ({ port }) => {
      const load = { port, clients: CLIENTS, stream: true, maxTokens: CHUNKS_PER_STREAM };
      const { requests, seconds } = await applyLoad(load);
      return (requests * CHUNKS_PER_STREAM) / seconds / 1_000;
    });
    await compare("CPU ms per 1,000 requests", { contenders, rounds }, async ({ port, pid }) => {
      const before = await readCpuMs(pid);
      const { requests } = await applyLoad({ port, clients: CLIENTS });
      return ((await readCpuMs(pid)) - before) / (requests / 1_000);
    });
    for (const contender of scraped) {
      const text = await scrape(contender);
      const sum = (name: string) =>
        [...text.matchAll(new RegExp(`^cortex_trace_spans_${name}_total\\S* (\\d+)$`, "gm"))]
          .map(([, count]) => Number(count))
          .reduce((total, count) => total + count, 0);
      console.log(`  ${contender.name}: ${sum("exported")} spans taken, ${sum("dropped")} dropped`);
    }
  } finally {
    clearInterval(timer);
  }
}

async function scrape({ metricsPort }: Observed): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
}

async function compare(
  label: string,
  of: { readonly contenders: readonly Observed[]; readonly rounds: number },
  measure: (contender: Observed) => Promise<number>,
): Promise<void> {
  const rows = of.contenders.map((contender) => ({ contender, values: [] as number[] }));
  for (let round = 0; round < of.rounds; round += 1) {
    for (const { contender, values } of rows) values.push(await measure(contender));
  }
  const first = rows[0]?.values ?? [];
  const cells = rows.map(({ contender, values }, index) => {
    const ratios = values.map((value, round) => value / (first[round] ?? Number.NaN));
    const ratio = index === 0 ? "" : ` (${spreadOf(ratios)} of off)`;
    return `${contender.name} ${median(values).toFixed(1)}${ratio}`;
  });
  console.log(`observed: ${label}, ${CLIENTS} clients`.padEnd(48) + cells.join("  "));
}
