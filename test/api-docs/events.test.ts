import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ApiFacts } from "../../src/api-docs/api-route.ts";
import { ANTHROPIC_ENVELOPE } from "../../src/api-docs/envelopes.ts";
import { CHAT_ROUTE } from "../../src/api-docs/routes/chat-route.ts";
import { MESSAGES_ROUTE } from "../../src/api-docs/routes/messages-routes.ts";
import { RESPONSES_ROUTE } from "../../src/api-docs/routes/responses-route.ts";
import { CortexError } from "../../src/base/errors.ts";
import { SseReader } from "../../src/base/sse.ts";
import type { ClientDialect } from "../../src/translate/dialects.ts";
import { formatClientErrorEvent } from "../../src/translate/errors/client-errors.ts";
import { MESSAGES_PING } from "../../src/translate/messages/stream-from-chat.ts";
import { SchemaChecker } from "./open-api.ts";

const GOLDEN = join(import.meta.dir, "../golden/responses");
const checker = new SchemaChecker(
  { openapi: "3.1.0", paths: {}, components: { schemas: {} } },
  { strict: true },
);

/** Names of the kinds of events that a stream holds; what is not as documented is its text. */
function readEvents(text: string, { events = [] }: ApiFacts): string[] {
  return new SseReader().push(text).map(({ event, data }) => {
    const value: unknown = data === "[DONE]" ? data : JSON.parse(data);
    const known = events.find(
      (kind) =>
        (kind.event ?? "message") === event &&
        checker.findProblem(kind.schema, value) === undefined,
    );
    return known?.name ?? `${event}: ${data}`;
  });
}

describe("the events that are documented", () => {
  test("are those that the Responses translator writes, each of them", async () => {
    const seen = new Set<string>();
    for (const folder of await readdir(GOLDEN)) {
      const file = Bun.file(join(GOLDEN, folder, "stream.txt"));
      if (!(await file.exists())) continue;
      for (const name of readEvents(await file.text(), RESPONSES_ROUTE)) seen.add(name);
    }
    const names = RESPONSES_ROUTE.events?.map(({ name }) => name) ?? [];
    // The first is written by whoever breaks the stream off, the other before there is one.
    const broken = ["response.failed", "error"];
    expect([...seen].filter((name) => !names.includes(name))).toEqual([]);
    expect(names.filter((name) => !seen.has(name))).toEqual(broken);
  });

  test("are those with which a stream of each dialect breaks", () => {
    const error = new CortexError("neuron_failed", "The neuron closed the connection");
    const routes = { chat: CHAT_ROUTE, messages: MESSAGES_ROUTE, responses: RESPONSES_ROUTE };
    for (const [dialect, route] of Object.entries(routes)) {
      const options = { dialect: dialect as ClientDialect, requestId: "req_1" };
      expect([dialect, readEvents(formatClientErrorEvent(error, options), route)]).toEqual([
        dialect,
        ["error"],
      ]);
    }
    expect(readEvents(MESSAGES_PING, MESSAGES_ROUTE)).toEqual(["ping"]);
    expect(ANTHROPIC_ENVELOPE.statusOf("unavailable")).toBe(529);
  });
});
