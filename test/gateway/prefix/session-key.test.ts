import { describe, expect, test } from "bun:test";
import { ByteSpan } from "../../../src/base/byte-span.ts";
import { readSessionKey, toSessionKey } from "../../../src/gateway/prefix/session-key.ts";
import { Sessions } from "../../../src/gateway/prefix/sessions.ts";
import { readRoutingFields } from "../../../src/gateway/proxy/routing-fields.ts";

const SEED = 7n;

function keyOf(headers: Readonly<Record<string, string>>, body: object = {}, seed = SEED) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const span = new ByteSpan(Buffer.from(JSON.stringify({ model: "m", ...body })));
  return readSessionKey(
    {
      headerLines: new ByteSpan(Buffer.from(lines.join(""))),
      body: span,
      parts: readRoutingFields(span).parts,
    },
    seed,
  );
}

describe("session key", () => {
  const named = toSessionKey("s-1", SEED);

  test("is read from every header in which clients name a session, however it is written", () => {
    for (const header of [
      "X-Claude-Code-Session-Id",
      "session-id",
      "session_id",
      "Session_Id",
      "X-Session-Id",
      "x-session-affinity",
    ]) {
      expect(keyOf({ Host: "h", [header]: "s-1", Accept: "*/*" })).toBe(named);
    }
  });

  test("is read from every member of a body that names one", () => {
    expect(keyOf({}, { prompt_cache_key: "s-1" })).toBe(named);
    expect(keyOf({}, { session_id: "s-1" })).toBe(named);
    expect(keyOf({}, { metadata: { other: [1], user_id: "s-1" } })).toBe(named);
    expect(keyOf({}, { previous_response_id: "s-1" })).toBe(named);
  });

  test("a better name wins: the client's own header, then others, then the body", () => {
    const body = { prompt_cache_key: "s-3", previous_response_id: null };
    expect(keyOf({ "x-session-id": "s-2", "x-claude-code-session-id": "s-1" }, body)).toBe(named);
    expect(keyOf({ "x-session-id": "s-1" }, body)).toBe(named);
    expect(keyOf({}, { ...body, previous_response_id: "s-1" })).toBe(named);
  });

  test("there is none where nobody names one, or in a way that makes no sense", () => {
    expect(keyOf({ "x-request-id": "s-1", "x-session": "s-1" })).toBeUndefined();
    expect(keyOf({ "x-session-id": "" }, { prompt_cache_key: "" })).toBeUndefined();
    expect(keyOf({ "x-session-id": "s".repeat(1_025) })).toBeUndefined();
    expect(keyOf({}, { prompt_cache_key: 12, metadata: ["user_id", "s-1"] })).toBeUndefined();
    expect(keyOf({}, { metadata: { user_id: { name: "s-1" } } })).toBeUndefined();
  });

  test("the same name is another session for another model", () => {
    expect(keyOf({ "x-session-id": "s-1" }, {}, 8n)).not.toBe(named);
  });
});

describe("sessions", () => {
  test("remember who served last, for an hour", () => {
    const sessions = new Sessions();
    sessions.note(1, "a", 0);
    sessions.note(1, "b", 1_000);
    expect(sessions.find(1, 3_601_000)).toBe("b");
    expect(sessions.find(1, 3_601_001)).toBeUndefined();
    expect(sessions.find(2, 0)).toBeUndefined();
  });

  test("are bounded, and the one that was used longest ago goes", () => {
    const sessions = new Sessions();
    for (let key = 0; key < 65_536; key += 1) sessions.note(key, "a", 0);
    sessions.note(0, "a", 0);
    sessions.note(65_536, "a", 0);
    expect(sessions.size).toBe(65_536);
    expect(sessions.find(0, 0)).toBe("a");
    expect(sessions.find(1, 0)).toBeUndefined();
  });
});
