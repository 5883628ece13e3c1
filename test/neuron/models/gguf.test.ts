import { describe, expect, test } from "bun:test";
import { describeGguf } from "../../../src/neuron/models/describe-gguf.ts";
import { parseGguf } from "../../../src/neuron/models/gguf.ts";
import { GgufError } from "../../../src/neuron/models/gguf-cursor.ts";
import { ggufFile } from "../fixture.ts";

const bytes = await ggufFile({ "general.name": { string: "Tiny" } }).bytes();

/** A copy with one 64-bit number replaced. */
function lie(offset: number, value: bigint): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setBigUint64(offset, value, true);
  return copy;
}

const parse = (file: Uint8Array) => parseGguf(file, file.length);

describe("a GGUF header", () => {
  test("tells name, architecture, sizes and what the model can do", () => {
    expect(describeGguf(parse(bytes))).toEqual({
      name: "Tiny",
      architecture: "llama",
      contextTrain: 4096,
      layers: 2,
      embeddingLength: 2,
      parameters: 8,
      quantization: "F32",
      capabilities: ["chat", "completion"],
      use: "generate",
    });
  });

  test("says tools when its template knows them", async () => {
    const template = { string: "{% if tools %}{{ tools }}{% endif %}" };
    const file = await ggufFile({ "tokenizer.chat_template": template }).bytes();
    expect(describeGguf(parse(file)).capabilities).toContain("tools");
  });

  test("with a pooling type is a model of embeddings, or of scores", async () => {
    const embed = await ggufFile({ "llama.pooling_type": { u32: 1 } }).bytes();
    expect(describeGguf(parse(embed)).capabilities).toEqual(["embeddings"]);
    const rank = await ggufFile({ "llama.pooling_type": { u32: 4 } }).bytes();
    expect(describeGguf(parse(rank)).capabilities).toEqual(["rerank"]);
  });
});

describe("a lying header is refused:", () => {
  const lies: readonly (readonly [string, () => Uint8Array])[] = [
    ["no GGUF at all", () => new TextEncoder().encode("Not a model, but long enough to look at")],
    ["an empty file", () => new Uint8Array(0)],
    ["more tensors than bytes", () => lie(8, 1_000_000_000n)],
    ["2^64 - 1 tensors", () => lie(8, 0xffff_ffff_ffff_ffffn)],
    ["more metadata than bytes", () => lie(16, 1_000_000_000n)],
    ["a key longer than the file", () => lie(24, 1_000_000n)],
    ["a key of 2^63 bytes", () => lie(24, 1n << 63n)],
    ["tensors cut off", () => bytes.slice(0, bytes.length - 32)],
  ];
  for (const [name, make] of lies) {
    test(name, () => {
      expect(() => parse(make())).toThrow(GgufError);
    });
  }

  test("every cut of a file", () => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => parse(bytes.slice(0, length))).toThrow(GgufError);
    }
  });

  test("any byte changed gives a header or a clear error, and nothing else", () => {
    for (let offset = 0; offset < bytes.length; offset += 1) {
      for (const value of [0, 255]) {
        const copy = bytes.slice();
        copy[offset] = value;
        try {
          parse(copy);
        } catch (error) {
          expect(error).toBeInstanceOf(GgufError);
        }
      }
    }
  });
});
