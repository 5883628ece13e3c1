import { expect, test } from "bun:test";
import { formatSseData, SSE_DONE } from "../../../src/base/sse.ts";
import { askFirstQuestion, chooseModel, waitForHealth } from "../../../src/cli/up/first-answer.ts";
import { FakeClock, settle } from "../../fakes/fake-clock.ts";

function waitingWith(answer: (url: string, init?: RequestInit) => Response | Promise<Response>) {
  const clock = new FakeClock();
  const fetch = async (url: string, init?: RequestInit) => answer(url, init);
  return { clock, fetch, signal: new AbortController().signal };
}

const models = [
  { id: "large", file_bytes: 9, capabilities: ["chat"] },
  { id: "embedder", file_bytes: 1, capabilities: ["embeddings"] },
  { id: "small", file_bytes: 2, capabilities: ["chat"] },
];

test("the smallest model that can chat gets the first question", async () => {
  const waiting = waitingWith(() => Response.json({ models }));
  expect(await chooseModel("http://n", waiting)).toBe("small");
  expect(await chooseModel("http://n", { ...waiting, wanted: "large" })).toBe("large");
  await expect(chooseModel("http://n", { ...waiting, wanted: "none" })).rejects.toThrow(
    "No model none: there is large, embedder, small",
  );
});

test("health is waited for until it is ok", async () => {
  const states = ["no_neurons", "degraded", "ok"];
  let asked = 0;
  const waiting = waitingWith(() => {
    if (asked++ === 0) throw new Error("connection refused");
    return Response.json({ state: states[asked - 2] });
  });
  const ready = waitForHealth("http://g", waiting);
  for (let turn = 0; turn < 4; turn++) {
    await settle();
    await waiting.clock.advance(100);
  }
  await ready;
  expect(asked).toBe(4);
});

test("a daemon that never gets well is given up after a minute", async () => {
  const waiting = waitingWith(() => Response.json({ state: "no_neurons" }));
  const ready = waitForHealth("http://g", waiting).catch((error: Error) => error.message);
  for (let turn = 0; turn < 700; turn++) await waiting.clock.advance(100);
  expect(await ready).toBe("http://g says no_neurons: waited 60 s");
});

const chunk = (content: string) => formatSseData({ choices: [{ delta: { content } }] });

test("the first answer is handed on piece by piece", async () => {
  const pieces: string[] = [];
  const body = formatSseData({ choices: [{ delta: { role: "assistant", content: null } }] });
  const waiting = waitingWith(
    () =>
      new Response(
        `${body}${chunk("Hel")}${chunk("lo")}${formatSseData({ choices: [] })}${SSE_DONE}`,
      ),
  );
  const onText = (text: string) => pieces.push(text);
  const answer = await askFirstQuestion("http://g", { ...waiting, model: "m", onText });
  expect(answer.text).toBe("Hello");
  expect(pieces).toEqual(["Hel", "lo"]);
});

test.each([
  [() => Response.json({ error: { message: "no room" } }, { status: 507 }), "failed: no room"],
  [() => new Response("bad gateway", { status: 502 }), "failed: 502 bad gateway"],
  [() => new Response(SSE_DONE), "The first answer is empty"],
  [
    () => new Response(chunk("He") + formatSseData({ error: { message: "it broke" } })),
    "The first answer failed: it broke",
  ],
])("a failed answer is an error, case %#", async (answer, message) => {
  const waiting = waitingWith(answer);
  const asked = askFirstQuestion("http://g", { ...waiting, model: "m", onText: () => undefined });
  await expect(asked).rejects.toThrow(message);
});
