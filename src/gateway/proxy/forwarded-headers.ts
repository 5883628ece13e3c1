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

/**
 * What of a client's header lines an Anthropic API gets, too: which version and which betas its body is written in.
 * Never its key, its cookies or anything else.
 */
export function readForwarded(headerLines: ByteSpan): string {
  const lines = new HeaderLines(headerLines);
  let version = ANTHROPIC_VERSION;
  let betas = "";
  while (lines.next()) {
    if (lines.is("anthropic-version")) version = lines.text();
    else if (lines.is("anthropic-beta")) betas += `${betas === "" ? "" : ","}${lines.text()}`;
  }
  if (version.length > VALUE_CHARACTERS_MAX || betas.length > VALUE_CHARACTERS_MAX) return "";
  const beta = betas === "" ? "" : `Anthropic-Beta: ${betas}\r\n`;
  return `Anthropic-Version: ${version}\r\n${beta}`;
}

/** The id under which the client knows its request, else a new one: it goes to the neuron and back. */
export function readRequestId(headerLines: ByteSpan): string {
  const lines = new HeaderLines(headerLines);
  while (lines.next()) if (lines.is("x-request-id")) return takeRequestId(lines.text());
  return takeRequestId(undefined);
}

/** The span of the client that asks, where it sent one and no second one. */
export function readTraceContext(headerLines: ByteSpan): TraceContext | undefined {
  const lines = new HeaderLines(headerLines);
  let parent = "";
  let state = "";
  while (lines.next()) {
    if (lines.is("traceparent")) parent = parent === "" ? lines.text() : TWO_PARENTS;
    else if (lines.is("tracestate")) state += `${state === "" ? "" : ","}${lines.text()}`;
  }
  return parent === "" ? undefined : parseTraceContext(parent, state);
}

/** What a client says of itself and of its request. */
export interface Sender {
  /** The line that tells a neuron how urgent the request is; empty where the client does not say. */
  readonly priority: string;
  /** The program that asks, as it calls itself; empty where it does not. */
  readonly client: string;
}

/** @throws CortexError invalid_request for a priority that is none */
export function readSender(headerLines: ByteSpan): Sender {
  const lines = new HeaderLines(headerLines);
  let client = "";
  let priority = "";
  while (lines.next()) {
    if (lines.is("user-agent")) client = lines.text().slice(0, CLIENT_CHARACTERS_MAX);
    else if (priority === "" && lines.is(PRIORITY_HEADER)) priority = readPriority(lines);
  }
  return { priority, client };
}

function readPriority(lines: HeaderLines): string {
  const priority = PRIORITIES.find((name) => lines.isValue(name));
  if (priority !== undefined) return `${PRIORITY_HEADER}: ${priority}\r\n`;
  throw new CortexError(
    "invalid_request",
    `Header '${PRIORITY_HEADER}' is ${JSON.stringify(lines.text().slice(0, 64))}, must be one of ${PRIORITIES.join(", ")}`,
    { param: PRIORITY_HEADER },
  );
}
