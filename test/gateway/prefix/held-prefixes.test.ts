import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HeldPrefixes } from "../../../src/gateway/prefix/held-prefixes.ts";
import { endOfBeginning } from "../../../src/gateway/prefix/prompt-chain.ts";

/** A chain's key holds its place in the lowest seven bits, so that it says how long the beginning is. */
function keysOf(family: number, length: number): number[] {
  return Array.from({ length }, (_, index) => (family * 1_000 + index) * 128 + index);
}

/** A conversation that shares its first beginnings with others; keys behind them are its own. */
function branch(family: number, shared: number, length: number): number[] {
  return [...keysOf(0, shared), ...keysOf(100 * family + shared, length).slice(shared)];
}

const toChain = (keys: readonly number[]) => ({ keys, bytes: 0 });

describe("held prefixes", () => {
  test("nothing is held at first, and what was used is", () => {
    const held = new HeldPrefixes();
    const chain = keysOf(1, 10);
    expect(held.count(toChain(chain))).toBe(0);
    held.use(chain.slice(0, 6), 1e9);
    expect(held.count(toChain(chain))).toBe(6);
    expect(held.count(toChain(keysOf(2, 10)))).toBe(0);
    expect([1, 6, 7, 100].map((least) => held.count(toChain(chain), least))).toEqual([6, 6, 0, 0]);
    expect(held.bytes).toBe(endOfBeginning(5));
  });

  test("what several prompts begin with counts once and is held for all of them", () => {
    const held = new HeldPrefixes();
    held.use(branch(1, 5, 9), 1e9);
    held.use(branch(2, 5, 9), 1e9);
    expect(held.bytes).toBe(2 * endOfBeginning(8) - endOfBeginning(4));
    expect(held.count(toChain(branch(3, 5, 9)))).toBe(5);
  });

  test("without room the oldest goes, its longest beginnings first, and what newer ones share stays", () => {
    const held = new HeldPrefixes();
    held.use(branch(1, 5, 9), 1e9);
    held.use(branch(2, 5, 9), endOfBeginning(8) + 2 * 1_024);
    expect(held.count(toChain(branch(2, 5, 9)))).toBe(9);
    expect(held.count(toChain(branch(1, 5, 9)))).toBe(7);
    held.use(branch(2, 5, 9), endOfBeginning(8));
    expect(held.count(toChain(branch(1, 5, 9)))).toBe(5);
  });

  test("what was used until some use can be forgotten, and nothing newer", () => {
    const held = new HeldPrefixes();
    const [old, lost, newer] = [keysOf(1, 4), keysOf(2, 4), keysOf(3, 4)];
    for (const keys of [old, lost, newer]) held.use(keys, 1e9);
    held.removeUntil(held.lastUse(lost[3]));
    expect([old, lost, newer].map((keys) => held.count(toChain(keys)))).toEqual([0, 0, 4]);
    expect(held.bytes).toBe(endOfBeginning(3));
    expect(held.lastUse(lost[3])).toBe(0);
  });

  test("however it is used, no beginning is held without those before it, and bytes add up", () => {
    const action = fc.record({
      family: fc.integer({ min: 1, max: 5 }),
      shared: fc.integer({ min: 0, max: 12 }),
      length: fc.integer({ min: 1, max: 30 }),
      bytesMax: fc.integer({ min: 0, max: 60_000 }),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const held = new HeldPrefixes();
        const chains = actions.map(({ family, shared, length }) => branch(family, shared, length));
        for (const [index, { bytesMax }] of actions.entries()) {
          held.use(chains[index] as number[], bytesMax);
          expect(held.bytes).toBeLessThanOrEqual(bytesMax);
        }
        const all = new Set(chains.flat());
        const holds = (key: number) => held.lastUse(key) > 0;
        const bytes = [...all].filter(holds).map((key) => {
          const place = key % 128;
          return endOfBeginning(place) - (place === 0 ? 0 : endOfBeginning(place - 1));
        });
        expect(held.bytes).toBe(bytes.reduce((sum, more) => sum + more, 0));
        for (const keys of chains) {
          const missing = keys.findIndex((key) => !holds(key));
          expect(held.count(toChain(keys))).toBe(missing < 0 ? keys.length : missing);
        }
      }),
    );
  });

  test("is bounded whatever there is room for", () => {
    const held = new HeldPrefixes();
    for (let family = 1; family <= 100; family += 1) held.use(keysOf(family, 100), 1e12);
    expect(held.size).toBe(4_096);
  });
});
