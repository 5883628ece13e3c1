import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  bytesOfBeginning,
  ChainBuilder,
  endOfBeginning,
  formatKey,
  parseKey,
} from "../../../src/gateway/prefix/prompt-chain.ts";

const builder = new ChainBuilder();

function chainOf(pieces: readonly Buffer[], seed = 1n) {
  builder.reset(seed);
  for (const piece of pieces) builder.write(piece, 0, piece.length);
  return builder.take();
}

function text(length: number, from = 0): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => 97 + ((from + index) % 23)));
}

describe("prompt chain", () => {
  test("is the same however its bytes come in pieces", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 20_000 }),
        fc.array(fc.nat(20_000), { maxLength: 20 }),
        (array, cuts) => {
          const bytes = Buffer.from(array);
          const places = [0, ...cuts.filter((cut) => cut < bytes.length), bytes.length];
          places.sort((a, b) => a - b);
          const pieces = places.map((place, index) => bytes.subarray(place, places[index + 1]));
          expect(chainOf(pieces)).toEqual(chainOf([bytes]));
        },
      ),
    );
  });

  test("shares exactly the beginnings that end before the first difference", () => {
    fc.assert(
      fc.property(fc.nat(300_000), (place) => {
        const one = text(300_000);
        const other = Buffer.from(one);
        if (place < other.length) other[place] = 200;
        const { keys } = chainOf([one]);
        const changed = chainOf([other]).keys;
        const shared = keys.filter((key, index) => key === changed[index]).length;
        const expected = keys.filter((_, index) => endOfBeginning(index) <= place).length;
        expect(shared).toBe(expected);
      }),
      { numRuns: 20 },
    );
  });

  test("has a key for each KiB at first, then for each sixteenth more, 70 for 64k tokens", () => {
    const { keys, bytes } = chainOf([text(262_144)]);
    expect(bytes).toBe(262_144);
    expect(keys).toHaveLength(69);
    expect(endOfBeginning(0)).toBe(1_024);
    expect(endOfBeginning(15)).toBe(16_384);
    for (let index = 16; index < 128; index += 1) {
      const before = endOfBeginning(index - 1);
      const more = endOfBeginning(index) - before;
      expect(more / before).toBeGreaterThan(1 / 33);
      expect(more / before).toBeLessThanOrEqual(1 / 16);
    }
    expect(endOfBeginning(127)).toBeGreaterThan(4_000_000);
    expect(bytesOfBeginning(keys[20] as number)).toBe(endOfBeginning(20) - endOfBeginning(19));
  });

  test("shares nothing with what began with another seed", () => {
    const one = chainOf([text(5_000)], 1n).keys;
    expect(chainOf([text(5_000)], 2n).keys.some((key) => one.includes(key))).toBe(false);
  });

  test("room that is taken counts like bytes", () => {
    builder.reset(1n);
    builder.put(65);
    builder.pad(6_000);
    expect(builder.take()).toEqual(chainOf([Buffer.from("A"), Buffer.alloc(6_000)]));
  });

  test("leaves out of a compact value what JSON within a string adds", () => {
    const value = { path: "a b", text: 'line\n"quoted" \\ end', list: [1, 2, { deep: null }] };
    const written = (json: string) => {
      builder.reset(1n);
      const bytes = Buffer.from(json.repeat(100));
      builder.writeCompact(bytes, 0, bytes.length);
      return builder.take();
    };
    expect(written(JSON.stringify(JSON.stringify(value)))).toEqual(written(JSON.stringify(value)));
    expect(written(JSON.stringify(value, null, 2))).toEqual(written(JSON.stringify(value)));
  });

  test("keys keep their names, and names of other makers are no keys", () => {
    for (const key of chainOf([text(100_000)]).keys) {
      expect(Number.isSafeInteger(key)).toBe(true);
      expect(formatKey(key)).toMatch(/^[A-Za-z0-9_-]{1,16}$/);
      expect(parseKey(formatKey(key))).toBe(key);
    }
    for (const name of ["", "a", "b12", "12", "aXY", "azzzzzzzzzzzz", "azzzzzzzzzzz"]) {
      expect(parseKey(name)).toBeUndefined();
    }
  });
});
