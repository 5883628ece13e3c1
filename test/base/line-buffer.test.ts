import { describe, expect, test } from "bun:test";
import { LineBuffer, type LineSink } from "../../src/base/line-buffer.ts";
import { FakeClock, settle } from "../fakes/fake-clock.ts";

/** Remembers what it was told, and writes when the test lets it. */
class FakeSink implements LineSink {
  readonly written: string[] = [];
  readonly told: string[] = [];
  hold: PromiseWithResolvers<void> | undefined;
  failure: string | undefined;

  async write(bytes: Uint8Array): Promise<void> {
    await this.hold?.promise;
    if (this.failure !== undefined) throw new Error(this.failure);
    this.written.push(new TextDecoder().decode(bytes));
  }

  onDropping(cause: string): void {
    this.told.push(`dropping: ${cause}`);
  }

  onWritten(dropped: number): void {
    this.told.push(`written again after ${dropped}`);
  }
}

function buffering() {
  const [sink, clock] = [new FakeSink(), new FakeClock()];
  return { sink, clock, buffer: new LineBuffer(sink, clock) };
}

describe("a buffer of lines", () => {
  test("writes many lines at once, in their order", async () => {
    const { sink, clock, buffer } = buffering();
    buffer.add("a");
    buffer.add("b");
    expect(sink.written).toEqual([]);
    await clock.advance(100);
    expect(sink.written).toEqual(["a\nb\n"]);
    buffer.add("c");
    await clock.advance(100);
    expect(sink.written).toEqual(["a\nb\n", "c\n"]);
  });

  test("keeps lines whole that are not ASCII, and what comes while others are written", async () => {
    const { sink, clock, buffer } = buffering();
    const [first, second] = ["é€𝄞".repeat(9_000), "ß".repeat(90_000)];
    sink.hold = Promise.withResolvers();
    buffer.add(first);
    buffer.add(second);
    await settle(1);
    buffer.add("third");
    sink.hold.resolve();
    await clock.advance(200);
    expect(sink.written.join("")).toBe(`${first}\n${second}\nthird\n`);
  });

  test("does not wait once there is enough for a write", async () => {
    const { sink, buffer } = buffering();
    buffer.add("x".repeat(70_000));
    await settle(1);
    expect(sink.written).toHaveLength(1);
  });

  test("writes what is left when it is flushed", async () => {
    const { sink, buffer } = buffering();
    buffer.add("last");
    await buffer.flush();
    expect(sink.written).toEqual(["last\n"]);
  });

  test("a flush does not wait for a writer that hangs", async () => {
    const { sink, clock, buffer } = buffering();
    sink.hold = Promise.withResolvers();
    buffer.add("never");
    const flushed = buffer.flush();
    await clock.advance(1_000);
    await flushed;
    expect(sink.written).toEqual([]);
  });

  test("keeps a mebibyte while a write hangs, and drops the rest with one warning", async () => {
    const { sink, clock, buffer } = buffering();
    sink.hold = Promise.withResolvers();
    buffer.add("first");
    await clock.advance(100);
    for (let index = 0; index < 20_000; index += 1) buffer.add("x".repeat(99));
    expect(sink.told).toEqual(["dropping: they come faster than they can be written"]);
    sink.hold.resolve();
    await clock.advance(200);
    const kept = sink.written.join("").split("\n").length - 1;
    expect(kept).toBeGreaterThan(10_000);
    expect(kept).toBeLessThan(10_600);
    expect(sink.told[1]).toBe(`written again after ${20_001 - kept}`);
    expect(sink.told).toHaveLength(2);
  });

  test("where writing fails lines are lost with one warning, until it works again", async () => {
    const { sink, clock, buffer } = buffering();
    sink.failure = "no space left";
    for (const line of ["a", "b", "c"]) {
      buffer.add(line);
      await clock.advance(100);
    }
    expect(sink.told).toEqual(["dropping: no space left"]);
    sink.failure = undefined;
    buffer.add("d");
    await clock.advance(100);
    expect(sink.written).toEqual(["d\n"]);
    expect(sink.told).toEqual(["dropping: no space left", "written again after 3"]);
  });
});
