import { afterEach, expect, test } from "bun:test";
import { runMain } from "../run-main.ts";

let server: Bun.Server<undefined> | undefined;

afterEach(() => server?.stop(true));

/** A server whose every answer begins with this text and then ends, stays open, or is cut. */
function serve(text: string, after: "end" | "stay" | "cut"): string {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => {
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          controller.enqueue(new TextEncoder().encode(text));
          if (after === "end") controller.close();
          if (after === "cut") setTimeout(() => void server?.stop(true), 20);
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return `http://127.0.0.1:${server.port}`;
}

test("an answer whose body does not end is a timeout", async () => {
  const host = serve('{"version":', "stay");
  const { code, stderr } = await runMain(["status", "--host", host, "--timeout", "0.3"]);
  expect(stderr).toContain("No answer from");
  expect(stderr).not.toContain("Bug in cortex");
  expect(code).toBe(1);
});

test("an answer that is cut amid its body is a gateway out of reach", async () => {
  const host = serve('{"version":', "cut");
  const { code, stderr } = await runMain(["status", "--host", host]);
  expect(stderr).toContain("Cannot reach a gateway");
  expect(code).toBe(5);
});

test("a chat whose stream is no JSON, or is cut, is no bug of the command line", async () => {
  const run = (host: string) => runMain(["run", "m", "hello", "--host", host]);
  const nonsense = await run(serve("data: {nonsense\n\n", "end"));
  expect(nonsense.stderr).toContain("an event is no JSON");
  expect(nonsense.code).toBe(1);
  server?.stop(true);
  const cut = await run(serve('data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n', "cut"));
  expect(cut.stdout).toStartWith("Hi");
  expect(cut.stderr).toContain("broke off");
  expect(cut.stderr).not.toContain("Bug in cortex");
});
