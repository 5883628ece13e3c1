import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { commandOutputSchema } from "../../src/protocol/command-output.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const ANSWER = ["Hel", "lo"];

let server: Bun.Server<undefined>;
let bodies: { readonly body: unknown; readonly key: string | null }[];
let ending: "whole" | "broken" | "refused";

beforeEach(() => {
  bodies = [];
  ending = "whole";
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      bodies.push({ body: await request.json(), key: request.headers.get("authorization") });
      if (ending === "refused") {
        return Response.json({ error: { message: "Model 'x' does not exist" } }, { status: 404 });
      }
      const events: object[] = ANSWER.map((content) => ({ choices: [{ delta: { content } }] }));
      events.push({ choices: [{ delta: {}, finish_reason: "stop" }] });
      events.push({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 2 } });
      const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
      return new Response(ending === "whole" ? `${text}data: [DONE]\n\n` : text);
    },
  });
});

afterEach(() => server.stop(true));

async function run(args: readonly string[], stdin = "") {
  const host = `http://127.0.0.1:${server.port}`;
  const child = Bun.spawn([process.execPath, MAIN, "run", ...args, "--host", host], {
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", CORTEX_API_KEY: "k" },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

test("run streams the answer, with what is piped in behind the prompt", async () => {
  const said = await run(["m:8b", "Sum up", "--system", "Be brief", "--max-tokens", "9"], "text");
  expect(said).toEqual({ stdout: "Hello\n", stderr: "", code: 0 });
  expect(bodies).toEqual([
    {
      key: "Bearer k",
      body: {
        model: "m:8b",
        messages: [
          { role: "system", content: "Be brief" },
          { role: "user", content: "Sum up\n\ntext" },
        ],
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: 9,
      },
    },
  ]);
});

test("run takes what is piped in as the prompt, and prints one object with --json", async () => {
  const { stdout, code } = await run(["m", "--json"], "Hi");
  expect(code).toBe(0);
  const line: unknown = JSON.parse(stdout);
  expect(Value.Check(commandOutputSchema("run"), line)).toBe(true);
  expect(line).toMatchObject({ text: "Hello", finish_reason: "stop", completion_tokens: 2 });
  expect(bodies[0]?.body).toMatchObject({ messages: [{ role: "user", content: "Hi" }] });
});

test("run without a prompt is a usage error", async () => {
  const { stderr, code } = await run(["m"]);
  expect(code).toBe(2);
  expect(stderr).toContain("No prompt");
});

test("an answer that breaks off, or is refused, is a failure", async () => {
  ending = "broken";
  const broken = await run(["m", "Hi"]);
  expect(broken.code).toBe(1);
  expect(broken.stderr).toContain("The answer broke off");
  ending = "refused";
  const refused = await run(["x", "Hi"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("Model 'x' does not exist");
});
