import { afterEach, describe, expect, test } from "bun:test";
import { HttpOrigin } from "../../../src/gateway/upstream/http-origin.ts";
import { HttpNeuronApi } from "../../../src/gateway/upstream/neuron-api.ts";
import { taggedJson } from "../../../src/neuron/http/tagged-json.ts";
import type { NeuronEvent } from "../../../src/protocol/events.ts";
import type { Model } from "../../../src/protocol/models.ts";
import { FakeNeuron } from "../../fakes/fake-neuron.ts";

const model = new FakeNeuron().addModel("m", { state: "ready" }).model("m");
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** The control plane of a server that answers so; with the requests that came. */
function apiOf(answer: (request: Request) => Response) {
  const requests: { readonly headers: Headers }[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      // A request's own headers are gone when it has been answered.
      requests.push({ headers: new Headers(request.headers) });
      return answer(request);
    },
  });
  const origin = new HttpOrigin({ endpoint: server.url.origin, token: undefined });
  cleanups.push(
    () => origin.close(),
    () => server.stop(true),
  );
  return { api: new HttpNeuronApi(origin), requests };
}

/** Everything that a stream tells until it ends, and why it ended. */
async function follow(api: HttpNeuronApi, lastEventId?: string) {
  const events: NeuronEvent[] = [];
  const ids: (string | undefined)[] = [];
  const ended = Promise.withResolvers<Error>();
  const sink = {
    onEvent: (event: NeuronEvent, id: string | undefined) => {
      events.push(event);
      ids.push(id);
    },
    onEnd: (error: Error) => ended.resolve(error),
  };
  api.events(sink, lastEventId);
  const error = await ended.promise;
  return { events, ids, error };
}

const stream = (text: string) =>
  new Response(text, { headers: { "content-type": "text/event-stream" } });

describe("a neuron's control plane", () => {
  test("an unchanged list of models comes without a body, and is the same array as before", async () => {
    let models: Model[] = [model];
    const { api, requests } = apiOf((request) => taggedJson(request, { models }));
    const first = await api.models({ timeoutMs: 1_000 });
    expect(await api.models({ timeoutMs: 1_000 })).toBe(first);
    expect(requests[1]?.headers.get("if-none-match")).toMatch(/^".+"$/);
    models = [{ ...model, state: "absent" }];
    const changed = await api.models({ timeoutMs: 1_000 });
    expect(changed.map(({ state }) => state)).toEqual(["absent"]);
    expect(await api.models({ timeoutMs: 1_000 })).toBe(changed);
  });

  test("a list without a tag is asked for whole each time", async () => {
    const { api, requests } = apiOf(() => Response.json({ models: [model] }));
    await api.models({ timeoutMs: 1_000 });
    await api.models({ timeoutMs: 1_000 });
    expect(requests.map(({ headers }) => headers.get("if-none-match"))).toEqual([null, null]);
  });

  test("304 to somebody who has nothing is no list", async () => {
    const { api } = apiOf(() => new Response(null, { status: 304 }));
    expect(api.models({ timeoutMs: 1_000 })).rejects.toThrow("304");
  });

  test("a list beyond 16 MiB is refused before it is read", async () => {
    const { api } = apiOf(() => new Response("x".repeat(17 * 1024 * 1024)));
    expect(api.models({ timeoutMs: 5_000 })).rejects.toThrow("longer than 16777216 bytes");
  });

  test("events carry their ids, and the last one is sent back", async () => {
    const text =
      `id: run-1\nevent: heartbeat\ndata: {"type":"heartbeat"}\n\n` +
      `id: run-2\nevent: news\ndata: {"type":"news"}\n\n` +
      `event: heartbeat\ndata: {"type":"heartbeat"}\n\n`;
    const { api, requests } = apiOf(() => stream(text));
    const { ids } = await follow(api, "run-0");
    expect(ids).toEqual(["run-1", undefined]);
    expect(requests[0]?.headers.get("last-event-id")).toBe("run-0");
  });

  test.each(["", "a\r\nX-Evil: 1", "ü", "x".repeat(257)])(
    "an id that no header may hold is not sent back: %p",
    async (id) => {
      const { api, requests } = apiOf(() => stream(""));
      await follow(api, id);
      expect(requests[0]?.headers.get("last-event-id")).toBeNull();
      expect(requests[0]?.headers.get("x-evil")).toBeNull();
    },
  );

  test("an event that is no JSON, or beyond 8 MiB, ends the stream", async () => {
    const { api } = apiOf(() => stream("data: {\n\n"));
    expect((await follow(api)).error.message).toBe("Malformed event");
    const { api: other } = apiOf(() => stream(`data: ${"x".repeat(9 * 1024 * 1024)}\n\n`));
    expect((await follow(other)).error.message).toBe("Malformed event");
  });
});
