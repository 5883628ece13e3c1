import { expect, test } from "bun:test";
import { join } from "node:path";

/** What a log writes to standard error in a process of its own, where it is no terminal. */
async function logged(code: string, env: Record<string, string> = {}): Promise<string[]> {
  const file = join(import.meta.dir, "../../src/base/log.ts");
  const script = `import { createLog } from ${JSON.stringify(file)}; ${code}`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "", ...env },
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect({ code: await child.exited, out }).toEqual({ code: 0, out: "" });
  return err.split("\n").slice(0, -1);
}

test("an event is one line with its time, level, text and fields", async () => {
  const lines = await logged(
    'createLog().child({ neuron: "a" }).warn("Neuron is down", { cause: "no answer", n: 1, x: undefined });',
  );
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(
    /^\d{4}-\d\d-\d\dT[\d:.]+Z WARN {2}Neuron is down neuron=a cause="no answer" n=1$/,
  );
});

test("what is less severe than the level is dropped", async () => {
  const all = "log.debug('d'); log.info('i'); log.warn('w'); log.error('e');";
  const levels = async (level: string) =>
    (await logged(`const log = createLog("${level}"); ${all}`)).map((line) => line.at(-1));
  expect(await levels("debug")).toEqual(["d", "i", "w", "e"]);
  expect(await levels("info")).toEqual(["i", "w", "e"]);
  expect(await levels("error")).toEqual(["e"]);
});

test("a flood of one line is shortened and counted", async () => {
  const lines = await logged(
    "const log = createLog(); for (let i = 0; i < 20; i++) log.info('x');",
  );
  expect(lines.length).toBeLessThan(10);
  expect(lines.join("\n")).toContain("repeated");
});
