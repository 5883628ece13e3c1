import type { ByteSpan } from "../../base/byte-span.ts";
import { HeaderLines } from "../../base/header-lines.ts";
import { JSON_BYTE } from "../../base/json-bytes.ts";
import type { BodyParts } from "./body-parts.ts";
import { JsonCursor, type Place } from "./json-cursor.ts";

/**
 * Headers in which clients name their session, the better one first: Claude Code; Codex, formerly and now; opencode,
 * crush and gateways; opencode and others.
 */
const HEADERS = [
  "x-claude-code-session-id",
  "session-id",
  "session_id",
  "x-session-id",
  "x-session-affinity",
];
/** Longer names are no names. */
const NAME_BYTES_MAX = 1_024;
/** A hash's upper 53 bits are exact in a number. */
const DROPPED_BITS = 11n;

export interface SessionSource {
  readonly headerLines: ByteSpan;
  readonly body: ByteSpan;
  readonly parts: BodyParts;
}

/**
 * The session that a client names in a header or, where there is none, in its body: `previous_response_id`,
 * `prompt_cache_key`, `session_id`, `metadata.user_id` (in which Claude Code writes its session). Undefined when it
 * names none. Under another seed, that is for another model, the same name is another session.
 */
export function readSessionKey(source: SessionSource, seed: bigint): number | undefined {
  return readHeader(source.headerLines, seed) ?? readMember(source, seed);
}

/** The key of a session by that name. */
export function toSessionKey(name: string | Uint8Array, seed: bigint): number {
  return Number(Bun.hash.xxHash3(name, seed) >> DROPPED_BITS);
}

function readHeader(headerLines: ByteSpan, seed: bigint): number | undefined {
  const lines = new HeaderLines(headerLines);
  let best = HEADERS.length;
  let name = "";
  while (lines.next()) {
    const rank = HEADERS.findIndex((header) => lines.is(header));
    if (rank < 0 || rank >= best) continue;
    const text = lines.text();
    if (text === "" || text.length > NAME_BYTES_MAX) continue;
    best = rank;
    name = text;
  }
  return name === "" ? undefined : toSessionKey(name, seed);
}

function readMember({ body, parts }: SessionSource, seed: bigint): number | undefined {
  return (
    readName(body, parts.previous_response_id, seed) ??
    readName(body, parts.prompt_cache_key, seed) ??
    readName(body, parts.session_id, seed) ??
    readName(body, findUser(body, parts.metadata), seed)
  );
}

function findUser(body: ByteSpan, metadata: Place | undefined): Place | undefined {
  if (metadata === undefined) return undefined;
  const cursor = new JsonCursor(body);
  cursor.at(metadata.from);
  let user: Place | undefined;
  for (let key = cursor.open(); key !== undefined; key = cursor.next()) {
    const place = cursor.skip();
    if (key === "user_id") user = place;
  }
  return user;
}

function readName({ bytes }: ByteSpan, place: Place | undefined, seed: bigint): number | undefined {
  if (place === undefined || bytes[place.from] !== JSON_BYTE.quote) return undefined;
  const from = place.from + 1;
  const to = place.to - 1;
  if (to <= from || to - from > NAME_BYTES_MAX) return undefined;
  return toSessionKey(bytes.subarray(from, to), seed);
}
