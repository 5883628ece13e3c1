import { expect, test } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
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

test("a line of JSON is one object with time, level, message and fields", async () => {
  const lines = await logged(
    'createLog("info", { format: "json" }).child({ neuron: "a" }).warn("Neuron is \\"down\\"", { n: 1, x: undefined });',
  );
  expect(lines).toHaveLength(1);
  const { time, ...rest } = JSON.parse(lines[0] ?? "");
  expect(rest).toEqual({ level: "warn", message: 'Neuron is "down"', neuron: "a", n: 1 });
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test("a flood of one line stays JSON", async () => {
  const lines = await logged(
    'const log = createLog("info", { format: "json" }); for (let i = 0; i < 20; i++) log.info("x");',
  );
  const notes = lines.map((line) => JSON.parse(line).note).filter((note) => note !== undefined);
  expect(notes.join()).toContain("repeated");
});

test("lines of what happens often come together, and only from the level on", async () => {
  const lines = await logged(
    `const log = createLog("info"); log.frequent("debug", "no", () => { throw new Error(); });
     log.child({ a: 1 }).frequent("info", "first", () => ({ b: 2 })); log.frequent("warn", "second", () => ({}));
     await log.flush();`,
  );
  expect(lines.map((line) => line.slice(25))).toEqual(["INFO  first a=1 b=2", "WARN  second"]);
});

test("in the journal lines begin with their priority, and the journal has the time", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cortex-log-"));
  const [file, source] = [join(folder, "journal"), join(import.meta.dir, "../../src/base/log.ts")];
  await Bun.write(file, "");
  const { dev, ino } = await stat(file);
  const code =
    `import { createLog } from ${JSON.stringify(source)}; const log = createLog("debug");` +
    "log.debug('d'); log.info('i'); log.warn('w'); log.error('e', { n: 1 });";
  const journalOf = async (stream: string) => {
    await Bun.write(file, "");
    const env = { PATH: process.env["PATH"] ?? "", JOURNAL_STREAM: stream };
    await Bun.spawn([process.execPath, "-e", code], { stderr: Bun.file(file), env }).exited;
    return (await Bun.file(file).text()).trim().split("\n");
  };
  expect(await journalOf(`${dev}:${ino}`)).toEqual([
    "<7>DEBUG d",
    "<6>INFO  i",
    "<4>WARN  w",
    "<3>ERROR e n=1",
  ]);
  // Somebody else's stream, as a child of a service has it whose standard error is a pipe.
  expect((await journalOf(`${dev}:1`))[1]).toMatch(/Z INFO {2}i$/);
  await rm(folder, { recursive: true });
});
