import { Value } from "@sinclair/typebox/value";
import { CortexError } from "../base/errors.ts";
import { type RequestRecord, RequestRecordSchema } from "../protocol/request-log.ts";

/** More errors of one kind say nothing new. */
const ERRORS_TOLD_MAX = 20;
/** A month of a busy team; each record takes about 200 bytes. */
const RECORDS_MAX = 5_000_000;

/** The requests of a log, in the order of their times. Throws `invalid_config` that names every bad line. */
export function readRequestLog(text: string, file: string): RequestRecord[] {
  const records: RequestRecord[] = [];
  const errors: string[] = [];
  let bad = 0;
  let line = 0;
  for (let from = 0; from < text.length; line += 1) {
    const end = text.indexOf("\n", from);
    const content = text.slice(from, end < 0 ? undefined : end).trim();
    from = end < 0 ? text.length : end + 1;
    if (content === "") continue;
    const read = readLine(content);
    if (typeof read !== "string") records.push(read);
    else {
      bad += 1;
      if (bad <= ERRORS_TOLD_MAX) errors.push(`${file}:${line + 1}: ${read}`);
    }
    if (records.length > RECORDS_MAX) errors.push(`${file}: more than ${RECORDS_MAX} requests`);
    if (records.length > RECORDS_MAX) break;
  }
  if (bad > ERRORS_TOLD_MAX) errors.push(`${file}: ${bad - ERRORS_TOLD_MAX} more bad lines`);
  if (errors.length === 0 && records.length === 0) errors.push(`${file}: holds no request`);
  if (errors.length > 0) throw new CortexError("invalid_config", errors.join("\n"));
  return records.sort((a, b) => a.time_ms - b.time_ms);
}

/** The record, or what is wrong with the line. */
function readLine(content: string): RequestRecord | string {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (thrown) {
    return `no JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
  if (!Value.Check(RequestRecordSchema, value)) {
    const first = Value.Errors(RequestRecordSchema, value).First();
    const field = first?.path.slice(1) ?? "";
    const message = first?.message ?? "is no request";
    return field === "" ? `must be an object: ${message}` : `${field}: ${message}`;
  }
  if ((value.prefix_tokens ?? 0) > value.prompt_tokens) {
    return `prefix_tokens: ${value.prefix_tokens} are more than prompt_tokens, ${value.prompt_tokens}`;
  }
  return value;
}
