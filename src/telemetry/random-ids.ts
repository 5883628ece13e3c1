const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
/** A random draw for each id would cost as much as the rest of a span. */
const pool = Buffer.alloc(4_096);
let used = pool.length;

/** A new id of a trace: 32 hexadecimal digits. */
export function newTraceId(): string {
  return draw(TRACE_BYTES);
}

/** A new id of a span: 16 hexadecimal digits. */
export function newSpanId(): string {
  return draw(SPAN_BYTES);
}

function draw(bytes: number): string {
  if (used + bytes > pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString("hex", used - bytes, used);
}
