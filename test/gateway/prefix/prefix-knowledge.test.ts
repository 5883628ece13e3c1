import { describe, expect, test } from "bun:test";
import { ByteSpan } from "../../../src/base/byte-span.ts";
import type { KnownPrompt, SentTo } from "../../../src/gateway/prefix/known-prompt.ts";
import { PrefixKnowledge } from "../../../src/gateway/prefix/prefix-knowledge.ts";
import { readRoutingFields } from "../../../src/gateway/proxy/routing-fields.ts";

/** 40,000 bytes, which are 10,000 tokens while nobody has measured. */
const TURN = "word ".repeat(8_000);
const NO_HEADERS = new ByteSpan(Buffer.alloc(0));

function read(knowledge: PrefixKnowledge, texts: readonly string[], more: object = {}) {
  const messages = texts.map((content) => ({ role: "user", content }));
  const body = new ByteSpan(Buffer.from(JSON.stringify({ model: "m", messages, ...more })));
  const { parts, promptTokens } = readRoutingFields(body);
  const form = "chat" as const;
  const request = { source: "m", form, headerLines: NO_HEADERS, body, parts, promptTokens };
  return knowledge.read({ ...request, nowMs: 0 });
}

function to(neuron: string, given: Partial<SentTo> = {}): SentTo {
  return { neuron, cacheTokens: 100_000, tellsCached: true, ...given };
}

function usage(prompt: KnownPrompt, cachedTokens: number) {
  return { promptTokens: Math.round(prompt.promptTokens), completionTokens: 10, cachedTokens };
}

/** Names of a prompt's beginnings, as a neuron is told them. */
function namesOf(prompt: KnownPrompt): string[] {
  return prompt.formatHeader().split(",");
}

describe("prefix knowledge", () => {
  test("a prompt that was sent is cached where it was sent, and what follows it begins there", () => {
    const knowledge = new PrefixKnowledge();
    const first = read(knowledge, [TURN]);
    expect(first.promptTokens).toBeCloseTo(10_000, -1);
    expect(first.cachedTokens("a")).toBe(0);
    first.noteSent(to("a"));
    const second = read(knowledge, [TURN, TURN]);
    expect(second.cachedTokens("a")).toBeGreaterThan(9_300);
    expect(second.cachedTokens("a")).toBeLessThanOrEqual(10_000);
    expect(second.cachedTokens("b")).toBe(0);
    expect(read(knowledge, [`Other ${TURN}`]).cachedTokens("a")).toBe(0);
  });

  test("a prompt that failed before its answer is not believed to be there", () => {
    const knowledge = new PrefixKnowledge();
    read(knowledge, [TURN]).noteSent(to("a"));
    const failed = read(knowledge, [TURN, TURN]);
    failed.noteSent(to("a"));
    expect(read(knowledge, [TURN, TURN]).cachedTokens("a")).toBeGreaterThan(18_000);
    failed.noteFailed(0);
    failed.noteFailed(0);
    expect(read(knowledge, [TURN, TURN]).cachedTokens("a")).toBeLessThanOrEqual(10_000);
    expect(read(knowledge, [TURN, TURN]).cachedTokens("a")).toBeGreaterThan(9_300);
  });

  test("a prompt that failed, or whose request is over, is no longer one that the neuron has yet to read", () => {
    const knowledge = new PrefixKnowledge();
    const [failed, ended, stays] = ["one", "two", "three"].map((name) => {
      const prompt = read(knowledge, [name + TURN]);
      prompt.noteSent(to("a", { prefillTokensPerSecond: 1_000 }));
      return prompt;
    });
    const pending = () => read(knowledge, [TURN]).pendingSeconds("a");
    expect(pending()).toBeCloseTo(30, 1);
    failed?.noteFailed(0);
    failed?.noteEnded(0);
    expect(pending()).toBeCloseTo(20, 1);
    ended?.noteAnswered(undefined);
    ended?.noteEnded(0);
    expect(pending()).toBeCloseTo(10, 1);
    stays?.noteEnded(0);
    expect(pending()).toBe(0);
  });

  test("no more is believed than the caches have room for", () => {
    const knowledge = new PrefixKnowledge();
    for (const name of ["one", "two", "three"]) {
      read(knowledge, [name + TURN]).noteSent(to("a", { cacheTokens: 20_500 }));
    }
    const cached = ["one", "two", "three"].map((name) =>
      read(knowledge, [name + TURN]).cachedTokens("a"),
    );
    expect(cached[0]).toBeLessThan(1_500);
    expect(cached[1]).toBeGreaterThan(9_000);
    expect(cached[2]).toBeGreaterThan(9_000);
  });

  test("an answer that says less was cached takes all that is as old from what is believed", () => {
    const knowledge = new PrefixKnowledge();
    for (const name of ["one", "two", "three"]) read(knowledge, [name + TURN]).noteSent(to("a"));
    const again = read(knowledge, [`two${TURN}`]);
    again.noteSent(to("a"));
    again.noteAnswered(usage(again, 0));
    expect(read(knowledge, [`one${TURN}`]).cachedTokens("a")).toBe(0);
    expect(read(knowledge, [`two${TURN}`]).cachedTokens("a")).toBeGreaterThan(7_000);
    expect(read(knowledge, [`three${TURN}`]).cachedTokens("a")).toBeGreaterThan(7_000);
  });

  test("a replica that caches nothing is believed less and less, and more again once it does", () => {
    const knowledge = new PrefixKnowledge();
    const ask = (cachedTokens: number) => {
      const prompt = read(knowledge, [TURN]);
      prompt.noteSent(to("a"));
      prompt.noteAnswered(usage(prompt, cachedTokens));
    };
    for (let count = 0; count < 30; count += 1) ask(0);
    expect(read(knowledge, [TURN]).cachedTokens("a")).toBeLessThan(50);
    for (let count = 0; count < 30; count += 1) ask(9_900);
    expect(read(knowledge, [TURN]).cachedTokens("a")).toBeGreaterThan(9_000);
  });

  test("an API that never told of cached tokens is believed to hold what it was sent", () => {
    const knowledge = new PrefixKnowledge();
    const ask = (cachedTokens: number) => {
      const prompt = read(knowledge, [TURN]);
      prompt.noteSent(to("api", { cacheTokens: 0, tellsCached: false }));
      prompt.noteAnswered(usage(prompt, cachedTokens));
    };
    for (let count = 0; count < 10; count += 1) ask(0);
    expect(read(knowledge, [TURN]).cachedTokens("api")).toBeGreaterThan(9_000);
    ask(9_900);
    for (let count = 0; count < 10; count += 1) ask(0);
    expect(read(knowledge, [TURN]).cachedTokens("api")).toBeLessThan(2_000);
  });

  test("bytes per token and tokens of answers are learned from what answers say", () => {
    const knowledge = new PrefixKnowledge();
    for (let count = 0; count < 60; count += 1) {
      read(knowledge, [TURN]).noteAnswered({
        promptTokens: 20_000,
        completionTokens: 1_000,
        cachedTokens: 0,
      });
    }
    const prompt = read(knowledge, [TURN]);
    expect(prompt.promptTokens).toBeGreaterThan(19_900);
    expect(prompt.promptTokens).toBeLessThan(20_100);
    expect(prompt.answerTokens).toBeGreaterThan(990);
    prompt.noteAnswered(undefined);
    expect(read(knowledge, [TURN]).promptTokens).toBe(prompt.promptTokens);
  });

  test("what a model that left memory had cached is forgotten, there and only there", () => {
    const knowledge = new PrefixKnowledge();
    read(knowledge, [TURN]).noteSent(to("a"));
    read(knowledge, [TURN]).noteSent(to("b"));
    knowledge.forget("a", "m");
    knowledge.forget("a", "other");
    expect(read(knowledge, [TURN]).cachedTokens("a")).toBe(0);
    expect(read(knowledge, [TURN]).cachedTokens("b")).toBeGreaterThan(9_000);
  });

  test("what neurons tell of their caches is known to a gateway that sent them nothing", () => {
    const sender = new PrefixKnowledge();
    const names = namesOf(read(sender, [TURN]));
    expect(names.length).toBeGreaterThan(20);
    const knowledge = new PrefixKnowledge();
    knowledge.apply("a", [{ model: "m", added: names, removed: [] }]);
    expect(read(knowledge, [TURN]).cachedTokens("a")).toBeGreaterThan(9_000);
    knowledge.apply("a", [{ model: "m", added: [], removed: names.slice(10) }]);
    expect(read(knowledge, [TURN]).cachedTokens("a")).toBe(2_560);
    knowledge.apply("a", [{ model: "m", reset: true, added: names.slice(0, 4), removed: [] }]);
    expect(read(knowledge, [TURN]).cachedTokens("a")).toBe(1_024);
    knowledge.replace("a", [{ model: "m", hashes: [...names, "nobody's", ""] }]);
    expect(read(knowledge, [TURN]).cachedTokens("a")).toBeGreaterThan(9_000);
    knowledge.replace("a", []);
    expect(read(knowledge, [TURN]).cachedTokens("a")).toBe(0);
  });

  test("of a very long prompt the longest beginnings are told, and suffice to know it again", () => {
    const texts = Array.from({ length: 12 }, (_, index) => index + TURN);
    const names = namesOf(read(new PrefixKnowledge(), texts));
    expect(names).toHaveLength(64);
    const knowledge = new PrefixKnowledge();
    knowledge.apply("a", [{ model: "m", added: names, removed: [] }]);
    expect(read(knowledge, texts).cachedTokens("a")).toBeGreaterThan(112_000);
  });

  test("a session goes on where it was last, and a response where it came from", () => {
    const knowledge = new PrefixKnowledge();
    const session = { prompt_cache_key: "s-1" };
    expect(read(knowledge, ["Hi"], session).stickyTo).toBeUndefined();
    const first = read(knowledge, ["Hi"], session);
    first.noteSent(to("a"));
    expect(read(knowledge, ["Hi"], session).stickyTo).toBe("a");
    expect(read(knowledge, ["Hi"]).stickyTo).toBeUndefined();
    first.noteResponse("resp_1");
    expect(read(knowledge, ["Hi"], { previous_response_id: "resp_1" }).stickyTo).toBe("a");
  });
});
