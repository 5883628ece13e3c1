import { describe, expect, test } from "bun:test";
import { SseReader } from "../../../src/base/sse.ts";
import { RELAYS_MAX } from "../../../src/gateway/operations/neuron-logs.ts";
import type { LogEvent } from "../../../src/protocol/log-events.ts";
import { errorOf, fakeApi, fakeNeuron, gatewayOver, type TestGateway } from "../fixture.ts";

function open(gateway: TestGateway, query: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${gateway.url}/admin/logs${query}`, init);
}

async function readUntil(response: Response, last: string): Promise<LogEvent[]> {
  const reader = new SseReader();
  const lines: LogEvent[] = [];
  for await (const piece of response.body ?? []) {
    for (const { data } of reader.push(new TextDecoder().decode(piece))) {
      lines.push(JSON.parse(data) as LogEvent);
      if (lines.at(-1)?.text === last) return lines;
    }
  }
  throw new Error(`The stream ended without '${last}'`);
}

describe("a neuron's log through the gateway", () => {
  test("comes as that neuron sends it, and goes on after the last line that a client has", async () => {
    const [one, other] = [fakeNeuron(), fakeNeuron()];
    const gateway = await gatewayOver([one, other]);
    const { log } = one.logs;
    other.logs.log.info("Of the other");
    log.warn("First", { model: "m" });
    const following = await open(gateway, "?neuron=a");
    expect(following.headers.get("content-type")).toStartWith("text/event-stream");
    expect(following.headers.get("x-request-id")).toStartWith("req_");
    log.info("Second");
    const lines = await readUntil(following, "Second");
    expect(lines.map(({ text }) => text)).toEqual(["First", "Second"]);
    expect(lines[0]).toMatchObject({ level: "warn", kind: "model", fields: { model: "m" } });
    log.info("Third");
    const headers = { "last-event-id": lines.at(-1)?.id ?? "" };
    const rest = await open(gateway, "?neuron=a&follow=false", { headers });
    const events = new SseReader().push(await rest.text());
    expect(events.map(({ data }) => (JSON.parse(data) as LogEvent).text)).toEqual(["Third"]);
  });

  test("breaks off with the neuron's connection, and is let go of by a client that leaves", async () => {
    const neuron = fakeNeuron();
    const gateway = await gatewayOver([neuron]);
    let left: AbortSignal | undefined;
    neuron.logs.answer = ({ signal }) => {
      left = signal;
      return new Response(new ReadableStream({ start: (it) => it.enqueue(": open\n\n") }));
    };
    const leaving = new AbortController();
    await open(gateway, "?neuron=a", { signal: leaving.signal });
    const gone = Promise.withResolvers<void>();
    left?.addEventListener("abort", () => gone.resolve());
    leaving.abort();
    await gone.promise;
    const broken = await open(gateway, "?neuron=a");
    const text = broken.text();
    await neuron.kill();
    await expect(text).rejects.toThrow();
    expect((await errorOf(await open(gateway, "?neuron=a"))).message).toStartWith(
      "Neuron 'a' does not show its log: ",
    );
  });

  test("says what keeps it from being shown", async () => {
    const neuron = fakeNeuron();
    const api = { api: fakeApi("openai", ["m"]), name: "remote" };
    const gateway = await gatewayOver([neuron], { apis: [api] });
    const ask = async (query: string) => await errorOf(await open(gateway, query));
    expect(await ask("")).toMatchObject({ code: "invalid_request", param: "neuron" });
    expect((await ask("?neuron=b")).message).toBe(
      "Neuron 'b' is not configured: the gateway has a",
    );
    expect((await ask("?neuron=remote")).message).toContain("an API of kind openai");
    expect((await ask("?neuron=a&follow=1")).message).toContain("'follow' is \"1\"");
    const refuse = (status: number) => {
      neuron.logs.answer = () => Response.json({ error: { message: "Not here" } }, { status });
    };
    refuse(404);
    expect(await ask("?neuron=a")).toMatchObject({
      code: "unsupported",
      message: "Neuron 'a' does not show its log: Not here",
    });
    // The gateway's token is wrong there, and not the client's request.
    refuse(401);
    const wrongToken = await open(gateway, "?neuron=a");
    expect(wrongToken.status).toBe(502);
    expect((await errorOf(wrongToken)).code).toBe("neuron_failed");
    refuse(429);
    expect(await ask("?neuron=a")).toMatchObject({ code: "queue_full" });
  });

  test("is for the machine itself", async () => {
    const gateway = await gatewayOver([fakeNeuron()]);
    const headers = { origin: "https://evil.example" };
    expect((await open(gateway, "?neuron=a", { headers })).status).toBe(403);
    expect((await gateway.post("/admin/logs?neuron=a", {})).status).toBe(405);
  });

  test("has so many readers and no more, and ends with the gateway", async () => {
    const neuron = fakeNeuron();
    neuron.logs.answer = () =>
      new Response(new ReadableStream({ start: (it) => it.enqueue(": open\n\n") }));
    const gateway = await gatewayOver([neuron]);
    const streams = await Promise.all(
      Array.from({ length: RELAYS_MAX }, () => open(gateway, "?neuron=a")),
    );
    const refused = await open(gateway, "?neuron=a");
    expect((await errorOf(refused)).message).toContain(`at most ${RELAYS_MAX} may`);
    const texts = streams.map((stream) => stream.text());
    await gateway.stop();
    expect(new Set(await Promise.all(texts))).toEqual(new Set([": open\n\n"]));
  });
});
