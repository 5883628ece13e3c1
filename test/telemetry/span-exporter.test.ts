import { afterEach, describe, expect, test } from "bun:test";
import type { Clock } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/clock.ts";
import { openTelemetry } from "../../src/telemetry/open-telemetry.ts";
import { Span } from "../../src/telemetry/span.ts";
import type { SpanLoss } from "../../src/telemetry/span-exporter.ts";
import { FakeClock, settle } from "../fakes/fake-clock.ts";
import { FakeCollector } from "../fakes/fake-collector.ts";
import { RecordingLog } from "../fakes/recording-log.ts";

const collectors: FakeCollector[] = [];

afterEach(async () => {
  for (const collector of collectors.splice(0)) await collector.stop();
});

function collector(): FakeCollector {
  const made = new FakeCollector();
  collectors.push(made);
  return made;
}

class Counts {
  exported = 0;
  readonly dropped: Partial<Record<SpanLoss, number>> = {};

  countExported(spans: number): void {
    this.exported += spans;
  }

  countDropped(cause: SpanLoss, spans: number): void {
    this.dropped[cause] = (this.dropped[cause] ?? 0) + spans;
  }
}

function open(endpoint: string, options: { clock?: Clock; headers?: string } = {}) {
  const clock = options.clock ?? systemClock;
  const counts = new Counts();
  const log = new RecordingLog();
  const { headers } = options;
  const config = { endpoint, ...(headers === undefined ? {} : { headers }) };
  const telemetry = openTelemetry(config, { role: "gateway", counts, clock, log, env: {} });
  if (telemetry === undefined) throw new Error("No telemetry");
  const { tracer } = telemetry;
  const record = (name: string, parent?: Span): Span => {
    const start = { name, kind: "internal", startMs: clock.monotonicMs() } as const;
    const span = parent?.child(start) ?? tracer.begin(start, undefined);
    if (!(span instanceof Span)) throw new Error("Not sampled");
    return span;
  };
  const finish = (count: number) => {
    for (let index = 0; index < count; index += 1) record(`s${index}`).end(clock.monotonicMs());
  };
  return { telemetry, counts, log, record, finish, clock };
}

describe("spans at the collector", () => {
  test("have the form of OTLP's JSON, with all that was said of them", async () => {
    const there = collector();
    const { telemetry, record, counts } = open(there.url, { headers: "authorization=Bearer%20k" });
    const beforeMs = Date.now();
    const parent = record("parent");
    const child = record("child", parent);
    child.set("text", 'quoted "text"\n\u2028');
    child.set("whole", 12);
    child.set("part", 0.5);
    child.set("yes", true);
    child.set("nothing", undefined);
    child.note("step", child.startMs + 1, ["count", 3]);
    child.link(parent.context);
    child.fail("timeout", "late");
    child.end(child.startMs + 2.5);
    parent.end(child.startMs + 3);
    await telemetry.stop();
    expect(there.problems).toEqual([]);
    const [batch] = there.batches;
    expect(batch?.path).toBe("/v1/traces");
    expect(batch?.headers.get("authorization")).toBe("Bearer k");
    expect(batch?.headers.get("content-type")).toBe("application/json");
    expect(batch?.resource).toMatchObject({
      "service.name": "cortex-gateway",
      "service.version": expect.any(String),
      "service.instance.id": expect.any(String),
      "host.name": expect.any(String),
      "process.pid": process.pid,
    });
    const [first, second] = there.spans;
    expect(first).toMatchObject({
      name: "child",
      parentSpanId: second?.spanId,
      traceId: second?.traceId,
      attributes: {
        ...{ text: 'quoted "text"\n\u2028', whole: 12, part: 0.5, yes: true },
        "error.type": "timeout",
      },
      events: [{ name: "step", attributes: { count: 3 } }],
      links: [{ traceId: second?.traceId, spanId: second?.spanId }],
      errorStatus: true,
    });
    expect(second?.parentSpanId).toBeUndefined();
    if (first === undefined || second === undefined) throw new Error("No spans");
    expect(Number(first.endNs - first.startNs) / 1e6).toBeCloseTo(2.5, 2);
    expect(first.startNs >= second.startNs && first.endNs <= second.endNs).toBe(true);
    expect(Math.abs(Number(second.startNs / 1_000_000n) - beforeMs)).toBeLessThan(1_000);
    expect(counts.exported).toBe(2);
  });

  test("come in batches of 512 at once, and fewer after five seconds", async () => {
    const there = collector();
    const clock = new FakeClock();
    const { telemetry, finish, counts } = open(there.url, { clock });
    finish(600);
    while (counts.exported === 0) await Bun.sleep(1);
    expect(there.batches[0]?.spans).toHaveLength(512);
    await settle();
    await clock.advance(4_900);
    expect(there.requests).toBe(1);
    await clock.advance(100);
    await there.until(({ batches }) => batches.length === 2);
    expect(there.batches[1]?.spans).toHaveLength(88);
    await telemetry.stop();
  });
});

/** Moves the clock on until the collector was asked so often. */
async function advanceUntil(clock: FakeClock, there: FakeCollector, requests: number) {
  for (let step = 0; there.requests < requests; step += 1) {
    if (step > 2_000) throw new Error(`${there.requests} requests, not ${requests}`);
    await clock.advance(100);
    await Bun.sleep(1);
  }
}

describe("a collector that does not take spans", () => {
  test("gets the same again after 429, 502, 503 and 504, not before its Retry-After", async () => {
    const there = collector();
    const clock = new FakeClock();
    there.answers.push(
      new Response(null, { status: 429, headers: { "retry-after": "30" } }),
      ...[502, 503, 504].map((status) => new Response("busy", { status })),
    );
    const { telemetry, finish, counts } = open(there.url, { clock });
    finish(512);
    await there.until(({ requests }) => requests === 1);
    // The answer may still be on its way.
    for (let turn = 0; turn < 20; turn += 1) await Bun.sleep(1);
    await clock.advance(29_000);
    await Bun.sleep(5);
    expect(there.requests).toBe(1);
    await advanceUntil(clock, there, 5);
    await there.until(({ batches }) => batches.length === 1);
    expect(there.spans).toHaveLength(512);
    await telemetry.stop();
    expect(counts.exported).toBe(512);
    expect(counts.dropped).toEqual({});
  });

  test("loses what it refuses, at once, and is never followed elsewhere", async () => {
    const there = collector();
    const elsewhere = collector();
    there.answers.push(new Response("no", { status: 400 }));
    there.answers.push(Response.redirect(`${elsewhere.url}/v1/traces`, 307));
    const { telemetry, finish, counts, log } = open(there.url, { headers: "k=secret" });
    finish(512);
    await there.until(({ requests }) => requests === 1);
    finish(512);
    await there.until(({ requests }) => requests === 2);
    await telemetry.stop();
    expect(elsewhere.requests).toBe(0);
    expect(counts.dropped).toEqual({ refused: 1_024 });
    const warnings = log.lines.filter(({ level }) => level === "warn");
    expect(warnings.map(({ text }) => text)).toEqual(["Traces are dropped"]);
    expect(JSON.stringify(log.lines)).not.toContain("secret");
  });

  test("may take a part of a batch", async () => {
    const there = collector();
    const partialSuccess = { rejectedSpans: "12", errorMessage: "too old" };
    there.answers.push(Response.json({ partialSuccess }));
    const { telemetry, finish, counts } = open(there.url);
    finish(20);
    await telemetry.stop();
    expect({ ...counts }).toEqual({ exported: 8, dropped: { refused: 12 } });
  });

  test("is given up after five attempts where nobody listens", async () => {
    const there = collector();
    const { url } = there;
    await there.stop();
    const clock = new FakeClock();
    const { telemetry, finish, counts } = open(url, { clock });
    finish(512);
    for (let step = 0; counts.dropped.unreachable === undefined && step < 2_000; step += 1) {
      await clock.advance(500);
      await Bun.sleep(1);
    }
    expect(counts.dropped).toEqual({ unreachable: 512 });
    await telemetry.stop();
  });

  test("is given up after ten seconds of silence, and what does not fit meanwhile is counted", async () => {
    const there = collector();
    const never = Promise.withResolvers<Response>();
    there.answers.push(never.promise);
    const clock = new FakeClock();
    const { telemetry, finish, counts } = open(there.url, { clock });
    finish(512);
    await there.until(({ requests }) => requests === 1);
    finish(8_192 + 7);
    expect(counts.dropped).toEqual({ queue_full: 7 });
    await clock.advance(10_000);
    await advanceUntil(clock, there, 2);
    never.resolve(new Response());
    await there.until(({ spans }) => spans.length === 512 + 8_192);
    await telemetry.stop();
    expect(counts.exported).toBe(512 + 8_192);
  });

  test("holds up a stop for three seconds at most", async () => {
    const there = collector();
    const never = Promise.withResolvers<Response>();
    there.answers.push(never.promise);
    const clock = new FakeClock();
    const { telemetry, finish, counts } = open(there.url, { clock });
    finish(700);
    await there.until(({ requests }) => requests === 1);
    const stopped = telemetry.stop();
    await clock.advance(3_000);
    await stopped;
    expect(counts.dropped).toEqual({ stopped: 700 });
    never.resolve(new Response());
  });
});
