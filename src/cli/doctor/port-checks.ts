import { describeError } from "../../base/errors.ts";
import { splitAddress } from "../../config/addresses.ts";
import { type Finding, fine, problem, skipped } from "./finding.ts";

/** A port that a role of this host wants. */
export interface WantedPort {
  readonly check: string;
  /** host:port. */
  readonly listen: string;
  /** Where a cortex that has it tells who it is. */
  readonly path: "/health" | "/metrics";
}

/** Whoever has the port and is cortex answers at once. */
const ASK_MS = 3_000;

/** Whether the port is free or a cortex has it. */
export async function checkPort({ check, listen, path }: WantedPort): Promise<Finding> {
  const { host, port } = splitAddress(listen);
  if (port === 0) return skipped(check, `${listen}: a free port is taken at each start`);
  const refusal = tryListen(host, port);
  if (refusal === undefined) return fine(check, `${listen} is free`);
  const own = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const url = `http://${own.includes(":") ? `[${own}]` : own}:${port}${path}`;
  const holder = await findCortex(url);
  if (holder !== undefined) return fine(check, `${listen} is held by ${holder}`);
  const isTaken = /EADDRINUSE|in use/i.test(refusal);
  if (!isTaken) {
    return problem(check, `Cannot listen on ${listen}: ${refusal}`, "ip -brief address");
  }
  const text = `${listen} is taken by something that is not cortex`;
  return problem(check, text, `ss -ltnp 'sport = :${port}'`);
}

/** Why nobody can listen there now; undefined where it is free. */
function tryListen(hostname: string, port: number): string | undefined {
  try {
    const server = Bun.serve({ hostname, port, reusePort: false, fetch: () => new Response() });
    void server.stop(true);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return `${code ?? ""} ${describeError(error)}`.trim();
  }
}

/** What a cortex says of itself; undefined where something else, or nothing, answers. */
async function findCortex(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ASK_MS), redirect: "manual" });
    const text = await response.text();
    if (url.endsWith("/metrics")) return text.includes("cortex_") ? "cortex" : undefined;
    const body: unknown = JSON.parse(text);
    if (typeof body !== "object" || body === null) return undefined;
    const version = "version" in body ? ` ${String(body.version)}` : "";
    if ("instance" in body && "devices" in body) return `a cortex neuron${version}`;
    return "neurons" in body && "state" in body ? `a cortex gateway${version}` : undefined;
  } catch {
    // What does not speak HTTP and JSON is not cortex.
    return undefined;
  }
}
