import { describe, expect, test } from "bun:test";
import { readRequestLog } from "../../src/simulation/request-log.ts";
import { SessionPrompts } from "../../src/simulation/session-prompts.ts";
import { countShared, countTokens } from "../../src/simulation/specs.ts";

const LINE = { time_ms: 2_000, model: "m", prompt_tokens: 100, completion_tokens: 10 };
const line = (more: object = {}) => JSON.stringify({ ...LINE, ...more });

describe("request log", () => {
  test("lines come in the order of their times, empty ones are passed over, unknown fields ignored", () => {
    const text = `${line()}\n\n${line({ time_ms: 1_000, colour: "red" })}\r\n`;
    expect(readRequestLog(text, "log").map(({ time_ms }) => time_ms)).toEqual([1_000, 2_000]);
  });

  test("every bad line is told with its number, and nothing is read", () => {
    const text = [line(), "{", line({ model: 7 }), line({ prefix_tokens: 101 }), "[]"].join("\n");
    const read = () => readRequestLog(text, "requests.jsonl");
    expect(read).toThrow(/requests\.jsonl:2: no JSON/);
    expect(read).toThrow(/requests\.jsonl:3: model: /);
    expect(read).toThrow(/requests\.jsonl:4: prefix_tokens: 101 are more than prompt_tokens, 100/);
    expect(read).toThrow(/requests\.jsonl:5: /);
  });

  test("of very many bad lines the first are told and the others counted", () => {
    const text = Array.from({ length: 30 }, () => "x").join("\n");
    expect(() => readRequestLog(text, "log")).toThrow(/log:20: [^\n]*\nlog: 10 more bad lines$/);
  });

  test("a log without a request is an error", () => {
    expect(() => readRequestLog("\n", "log")).toThrow("log: holds no request");
  });
});

describe("prompts of a log", () => {
  test("a conversation's prompt goes on from its last one and the answer", () => {
    const prompts = new SessionPrompts();
    const first = prompts.next({ ...LINE, session: "s" });
    const second = prompts.next({ ...LINE, session: "s", prompt_tokens: 150 });
    expect(countTokens(second.prompt)).toBe(150);
    expect(countShared(second.prompt, [...first.prompt, first.answer])).toBe(110);
  });

  test("a conversation that was cut short shares what is left of it", () => {
    const prompts = new SessionPrompts();
    const first = prompts.next({ ...LINE, session: "s" });
    const second = prompts.next({ ...LINE, session: "s", prompt_tokens: 105 });
    expect(countShared(second.prompt, first.prompt)).toBe(100);
    expect(countTokens(second.prompt)).toBe(105);
  });

  test("the same prefix is shared, other text and other models' conversations are not", () => {
    const prompts = new SessionPrompts();
    const [one, other] = [0, 1].map(() =>
      prompts.next({ ...LINE, prefix: "tools", prefix_tokens: 80 }),
    );
    expect(countShared(one?.prompt ?? [], other?.prompt ?? [])).toBe(80);
    const here = prompts.next({ ...LINE, session: "s" });
    const there = prompts.next({ ...LINE, session: "s", model: "n" });
    expect(countShared(here.prompt, there.prompt)).toBe(0);
  });
});
