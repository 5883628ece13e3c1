import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SKIP_REASON, TestDevice, tinyModel } from "./harness.ts";

describe.skipIf(SKIP_REASON !== undefined)("models for embeddings and reranking", () => {
  let device: TestDevice;

  beforeAll(async () => {
    device = await TestDevice.open("vectors");
    const path = await tinyModel("vectors", { kind: "embeddings" });
    const loaded = await device.load("vectors", path, { embedding: true });
    expect(loaded.capabilities).toEqual(["embeddings"]);
    const judge = await tinyModel("judge", { kind: "rerank" });
    const ranked = await device.load("judge", judge, { reranking: true });
    expect(ranked.capabilities).toEqual(["rerank"]);
  });

  afterAll(async () => {
    await device.close();
  });

  test("vectors have unit length, are the same for the same text, and count their tokens", async () => {
    const input = ["one text", "another", "one text"];
    const { result } = await device.submit("embeddings", "vectors", { input }).done;
    const rows: { embedding: number[]; index: number }[] = result.data;
    expect(rows.map((row) => row.index)).toEqual([0, 1, 2]);
    const length = Math.hypot(...(rows[0]?.embedding ?? []));
    expect(length).toBeCloseTo(1, 3);
    expect(rows[2]?.embedding[0]).toBeCloseTo(rows[0]?.embedding[0] ?? 0, 2);
    expect(rows[1]?.embedding).not.toEqual(rows[0]?.embedding);
    expect(result.usage.prompt_tokens).toBeGreaterThan(0);
    expect(result.model).toBe("vectors");
  });

  test("base64 vectors hold the same numbers", async () => {
    const body = { input: "one text", encoding_format: "base64" };
    const packed = await device.submit("embeddings", "vectors", body).done;
    const plain = await device.submit("embeddings", "vectors", { input: "one text" }).done;
    const bytes = Buffer.from(packed.result.data[0].embedding, "base64");
    const first = new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
    expect(first).toBeCloseTo(plain.result.data[0].embedding[0], 5);
  });

  test("an embedding model does not chat", async () => {
    const answer = await device.chat("vectors").done;
    expect(answer.last.status).toBe("unsupported");
  });

  test("reranking orders documents by score and keeps their index", async () => {
    const documents = ["first", "second text", "third one here"];
    const { result } = await device.submit("rerank", "judge", { query: "which", documents }).done;
    const scores: number[] = result.results.map(
      (row: { relevance_score: number }) => row.relevance_score,
    );
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    const indices: number[] = result.results.map((row: { index: number }) => row.index);
    expect(indices.toSorted()).toEqual([0, 1, 2]);
    const top = await device.submit("rerank", "judge", { query: "which", documents, top_n: 1 })
      .done;
    expect(top.result.results).toEqual([result.results[0]]);
  });
});
