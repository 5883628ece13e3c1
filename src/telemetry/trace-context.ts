/** Where a span belongs: the trace, the span itself, and what other systems wrote beside it. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** As in traceparent: 1 says that the trace is recorded, 2 that its id is random. */
  readonly flags: number;
  /** Empty where there is none. */
  readonly state: string;
}

/** Bits of {@link TraceContext.flags}. */
export const SAMPLED = 1;
const KNOWN_FLAGS = 3;

/** version-trace-parent-flags, of a later version with more behind it. */
const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);
/** What W3C asks everybody to pass on; a longer one is left out whole. */
const STATE_CHARACTERS_MAX = 512;
const STATE_MEMBERS_MAX = 32;
const STATE_MEMBER =
  /^[a-z0-9][a-z0-9_\-*/]{0,240}(@[a-z][a-z0-9_\-*/]{0,13})?=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/**
 * Reads W3C's headers: `traceparent`, and all lines of `tracestate` with commas between. Undefined for a parent that is
 * none, as if it had not come; a state that is none is left out.
 */
export function parseTraceContext(parent: string, state: string): TraceContext | undefined {
  const [, version, traceId = "", spanId = "", flags = "", more] = PARENT.exec(parent) ?? [];
  if (version === undefined || version === "ff") return undefined;
  if (version === "00" && more !== undefined) return undefined;
  if (traceId === NO_TRACE || spanId === NO_SPAN) return undefined;
  return {
    ...{ traceId, spanId, flags: Number.parseInt(flags, 16) & KNOWN_FLAGS },
    state: state === "" ? "" : checkState(state),
  };
}

function checkState(state: string): string {
  if (state.length > STATE_CHARACTERS_MAX) return "";
  const members = state
    .split(",")
    .map((member) => member.trim())
    .filter((member) => member !== "");
  const isGood = members.every((member) => STATE_MEMBER.test(member));
  return isGood && members.length <= STATE_MEMBERS_MAX ? members.join(",") : "";
}

/** The header lines that tell another process of the context. */
export function formatTraceLines({ traceId, spanId, flags, state }: TraceContext): string {
  const parent = `traceparent: 00-${traceId}-${spanId}-0${flags}\r\n`;
  return state === "" ? parent : `${parent}tracestate: ${state}\r\n`;
}
