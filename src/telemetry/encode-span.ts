import { type AttributeValue, SPAN_KINDS, type Span } from "./span.ts";
import type { TraceContext } from "./trace-context.ts";

/** Longer values are cut: names of models are shorter, and nothing else is told that could be long. */
const VALUE_CHARACTERS_MAX = 256;
/** What JSON writes as it is. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
const STATUS_ERROR = 2;

/** A span as OTLP's JSON mapping has it: ids in hexadecimal, 64-bit numbers as text, enums as numbers. */
export function encodeSpan(span: Span): string {
  const { context, parentId, offsetMs, events, links } = span;
  const state = context.state === "" ? "" : `,"traceState":${JSON.stringify(context.state)}`;
  const parent = parentId === undefined ? "" : `,"parentSpanId":"${parentId}"`;
  let text =
    `{"traceId":"${context.traceId}","spanId":"${context.spanId}"${state}${parent}` +
    `,"flags":${context.flags},"name":${quote(span.name)},"kind":${SPAN_KINDS[span.kind]}` +
    `,"startTimeUnixNano":"${toNanos(span.startMs + offsetMs)}"` +
    `,"endTimeUnixNano":"${toNanos(span.endMs + offsetMs)}"` +
    `,"attributes":${encodeAttributes(span.attributes)}`;
  if (events.length > 0) {
    const encoded = events.map(
      ({ name, atMs, attributes }) =>
        `{"timeUnixNano":"${toNanos(atMs + offsetMs)}","name":${quote(name)}` +
        `,"attributes":${encodeAttributes(attributes)}}`,
    );
    text += `,"events":[${encoded.join(",")}]`;
  }
  if (links.length > 0) text += `,"links":[${links.map(encodeLink).join(",")}]`;
  if (span.isError) {
    const message = span.message === "" ? "" : `,"message":${quote(span.message)}`;
    text += `,"status":{"code":${STATUS_ERROR}${message}}`;
  }
  return `${text}}`;
}

/** Keys and values in turn as OTLP's list of attributes. */
export function encodeAttributes(pairs: readonly (string | AttributeValue)[]): string {
  let text = "[";
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    const value = encodeValue(pairs[index + 1] as AttributeValue);
    text += `${index === 0 ? "" : ","}{"key":"${pairs[index]}","value":${value}}`;
  }
  return `${text}]`;
}

function encodeValue(value: AttributeValue): string {
  if (typeof value === "string") return `{"stringValue":${quote(value)}}`;
  if (typeof value === "boolean") return `{"boolValue":${value}}`;
  if (Number.isSafeInteger(value)) return `{"intValue":"${value}"}`;
  return `{"doubleValue":${Number.isFinite(value) ? value : 0}}`;
}

function encodeLink({ traceId, spanId, flags }: TraceContext): string {
  return `{"traceId":"${traceId}","spanId":"${spanId}","flags":${flags}}`;
}

/** Most values need no escapes, and looking is cheaper than writing anew. */
function quote(text: string): string {
  const value = text.length > VALUE_CHARACTERS_MAX ? text.slice(0, VALUE_CHARACTERS_MAX) : text;
  return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value);
}

/** Nanoseconds do not fit into a number: whole milliseconds, and six digits behind them. */
function toNanos(ms: number): string {
  const whole = Math.floor(ms);
  const rest = Math.floor((ms - whole) * 1_000_000);
  return `${whole}${String(rest).padStart(6, "0")}`;
}
