import type { ByteSpan } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import { HeaderLines } from "../../base/header-lines.ts";
import { takeRequestId } from "../../base/ids.ts";
import { PRIORITIES, PRIORITY_HEADER } from "../../protocol/priority.ts";
import { parseTraceContext, type TraceContext } from "../../telemetry/trace-context.ts";
import { ANTHROPIC_VERSION } from "../upstream/upstream.ts";

/** Longer than any list of betas that a client sends. */
const VALUE_CHARACTERS_MAX = 2_048;
/** Stands for what cannot be read as one. */
const TWO_PARENTS = "two";
/** Of a client's own name, for those who look at requests. */
const CLIENT_CHARACTERS_MAX = 80;

/** What a client's header lines say of itself and of its request. Empty where it does not say. */
export interface CallerLines {
  /** The id under which the client knows its request, else a new one: it goes to the neuron and back. */
  requestId: string;
  /** The program that asks, as it calls itself. */
  client: string;
  /** How urgent the request is, in the client's words. */
  priority: string;
  traceParent: string;
  traceState: string;
  anthropicVersion: string;
  /** Betas of Anthropic's API, joined by commas. */
  anthropicBetas: string;
}

/** Most requests are of the program that sent the one before. */
let lastClient = "";

/** Reads all of it in one walk over the lines, which the parser has found to be sound. */
export function readCallerLines(headerLines: ByteSpan): CallerLines {
  const caller: CallerLines = {
    requestId: "",
    client: "",
    priority: "",
    traceParent: "",
    traceState: "",
    anthropicVersion: "",
    anthropicBetas: "",
  };
  const lines = new HeaderLines(headerLines);
  while (lines.next()) readLine(caller, lines);
  caller.requestId = takeRequestId(caller.requestId);
  return caller;
}

/** Most lines cost one comparison, of their names' lengths. */
function readLine(caller: CallerLines, line: HeaderLines): void {
  switch (line.nameLength) {
    case 10:
      if (line.is("user-agent")) caller.client = readClient(line);
      else if (line.is("tracestate")) caller.traceState = join(caller.traceState, line.text());
      break;
    case 11:
      if (!line.is("traceparent")) break;
      caller.traceParent = caller.traceParent === "" ? line.text() : TWO_PARENTS;
      break;
    case 12:
      if (caller.requestId === "" && line.is("x-request-id")) caller.requestId = line.text();
      break;
    case 14:
      if (!line.is("anthropic-beta")) break;
      caller.anthropicBetas = join(caller.anthropicBetas, line.text());
      break;
    case 17:
      if (line.is("anthropic-version")) caller.anthropicVersion = line.text();
      else if (caller.priority === "" && line.is(PRIORITY_HEADER)) caller.priority = line.text();
      break;
  }
}

function readClient(line: HeaderLines): string {
  const client = line.text(lastClient);
  lastClient = client;
  return client.slice(0, CLIENT_CHARACTERS_MAX);
}

function join(before: string, value: string): string {
  return before === "" ? value : `${before},${value}`;
}

/**
 * What of them an Anthropic API gets, too: which version and which betas its body is written in. Never the client's
 * key, its cookies or anything else.
 */
export function formatForwarded({ anthropicVersion, anthropicBetas }: CallerLines): string {
  const version = anthropicVersion === "" ? ANTHROPIC_VERSION : anthropicVersion;
  const length = Math.max(version.length, anthropicBetas.length);
  if (length > VALUE_CHARACTERS_MAX) return "";
  const beta = anthropicBetas === "" ? "" : `Anthropic-Beta: ${anthropicBetas}\r\n`;
  return `Anthropic-Version: ${version}\r\n${beta}`;
}

/** The span of the client that asks, where it sent one and no second one. */
export function findTraceContext({
  traceParent,
  traceState,
}: CallerLines): TraceContext | undefined {
  return traceParent === "" ? undefined : parseTraceContext(traceParent, traceState);
}

/**
 * The line that tells a neuron how urgent the request is; empty where the client does not say.
 * @throws CortexError invalid_request for a priority that is none
 */
export function formatPriority({ priority }: CallerLines): string {
  if (priority === "") return "";
  const wanted = priority.toLowerCase();
  if (PRIORITIES.some((name) => name === wanted)) return `${PRIORITY_HEADER}: ${wanted}\r\n`;
  throw new CortexError(
    "invalid_request",
    `Header '${PRIORITY_HEADER}' is ${JSON.stringify(priority.slice(0, 64))}, must be one of ${PRIORITIES.join(", ")}`,
    { param: PRIORITY_HEADER },
  );
}
