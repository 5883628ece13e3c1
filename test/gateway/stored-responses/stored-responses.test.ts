import { describe, expect, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import { ResponseStore } from "../../../src/gateway/stored-responses/response-store.ts";
import { StoredResponses } from "../../../src/gateway/stored-responses/stored-responses.ts";
import { toChatRequest } from "../../../src/translate/responses/request-to-chat.ts";

function open(): StoredResponses {
  const limits = { bytesMax: 1024 * 1024, countMax: 100, daysMax: 30 };
  let count = 0;
  const store = new ResponseStore({ path: ":memory:", limits, nowMs: () => 1_700_000_000_000 });
  return new StoredResponses(store, { newId: (prefix) => `${prefix}_${++count}` });
}

const query = (text = "") => new URLSearchParams(text);

function answer(id: string, text: string) {
  const content = [{ type: "output_text", annotations: [], logprobs: [], text }];
  const output = [
    { id: `msg_of_${id}`, type: "message", status: "completed", role: "assistant", content },
  ];
  return { id, object: "response", status: "completed", output };
}

function keep(stored: StoredResponses, id: string, body: Record<string, unknown>): void {
  const request = toChatRequest({ model: "m", ...body }, stored.getEarlier(body));
  if (request.stored === undefined) throw new Error("Not to be stored");
  stored.keep(answer(id, `answer ${id}`), request.stored);
}

function errorOf(work: () => unknown): CortexError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof CortexError) return thrown;
    throw thrown;
  }
  throw new Error("Nothing was thrown");
}

describe("stored responses", () => {
  test("are retrieved and deleted by id", () => {
    const stored = open();
    keep(stored, "resp_1", { input: "hello" });
    expect(stored.retrieve("resp_1", query())).toEqual(answer("resp_1", "answer resp_1"));
    expect(stored.delete("resp_1")).toEqual({ id: "resp_1", object: "response", deleted: true });
    for (const work of [
      () => stored.retrieve("resp_1", query()),
      () => stored.delete("resp_1"),
      () => stored.cancel("resp_1"),
      () => stored.inputItems("resp_1", query()),
    ]) {
      const error = errorOf(work);
      expect(error.code).toBe("response_not_found");
      expect(error.message).toBe("Response with id 'resp_1' not found.");
    }
  });

  test("are neither streamed again nor cancelled", () => {
    const stored = open();
    keep(stored, "resp_1", { input: "hello" });
    expect(errorOf(() => stored.retrieve("resp_1", query("stream=true"))).code).toBe(
      "invalid_request",
    );
    const cancel = errorOf(() => stored.cancel("resp_1"));
    expect(cancel).toMatchObject({
      code: "invalid_request",
      message: "Cannot cancel a synchronous response",
    });
  });

  test("continue as one conversation, instructions excepted", () => {
    const stored = open();
    keep(stored, "resp_1", { input: "first", instructions: "Be brief" });
    keep(stored, "resp_2", { input: "second", previous_response_id: "resp_1" });
    const body = { model: "m", input: "third", previous_response_id: "resp_2" };
    const { chat } = toChatRequest(body, stored.getEarlier(body));
    expect(chat.messages).toEqual([
      { role: "user", content: "first" },
      { role: "assistant", content: "answer resp_1" },
      { role: "user", content: "second" },
      { role: "assistant", content: "answer resp_2" },
      { role: "user", content: "third" },
    ]);
  });

  test("give items to requests that refer to them", () => {
    const stored = open();
    keep(stored, "resp_1", { input: "first" });
    const input = [
      { role: "user", content: "first" },
      { type: "item_reference", id: "msg_of_resp_1" },
      { role: "user", content: "second" },
    ];
    const body = { model: "m", input };
    const { chat } = toChatRequest(body, stored.getEarlier(body));
    expect(chat.messages[1]).toEqual({ role: "assistant", content: "answer resp_1" });
  });

  test("list their input by pages in both orders", () => {
    const stored = open();
    const input = ["a", "b", "c", "d", "e"].map((text) => ({ role: "user", content: text }));
    keep(stored, "resp_1", { input });
    const textsOf = (list: Record<string, unknown>) =>
      (list["data"] as { content: { text: string }[] }[]).map((item) => item.content[0]?.text);
    const first = stored.inputItems("resp_1", query("limit=2&order=asc"));
    expect(first).toMatchObject({
      object: "list",
      has_more: true,
      first_id: "msg_1",
      last_id: "msg_2",
    });
    expect(textsOf(first)).toEqual(["a", "b"]);
    const rest = stored.inputItems("resp_1", query("limit=3&order=asc&after=msg_2"));
    expect(rest["has_more"]).toBe(false);
    expect(textsOf(rest)).toEqual(["c", "d", "e"]);
    expect(textsOf(stored.inputItems("resp_1", query()))).toEqual(["e", "d", "c", "b", "a"]);
    expect(textsOf(stored.inputItems("resp_1", query("after=msg_3")))).toEqual(["b", "a"]);
    expect((first["data"] as unknown[])[0]).toEqual({
      role: "user",
      type: "message",
      status: "completed",
      content: [{ type: "input_text", text: "a" }],
      id: "msg_1",
    });
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=x", "limit"],
    ["order=up", "order"],
    ["after=nothing", "after"],
  ])("refuse the query %s", (text, param) => {
    const stored = open();
    keep(stored, "resp_1", { input: "hello" });
    expect(errorOf(() => stored.inputItems("resp_1", query(text)))).toMatchObject({
      code: "invalid_request",
      param,
    });
  });

  test("are not found by a request that continues an unknown one", () => {
    const error = errorOf(() => open().getEarlier({ previous_response_id: "resp_9" }));
    expect(error.message).toBe("Previous response with id 'resp_9' not found");
  });
});
