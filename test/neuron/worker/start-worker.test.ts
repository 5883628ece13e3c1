import { afterEach, describe, expect, test } from "bun:test";
import { type Log, silentLog } from "../../../src/base/log.ts";
import { startWorker } from "../../../src/neuron/worker/start-worker.ts";

const STARTS = `self.postMessage({ type: "started" }); self.onmessage = ({ data }) => self.postMessage(data);`;
const HANGS = "setInterval(() => {}, 1000);";
const FAILS = `throw new Error("no memory left");`;
const START_MS = 200;

let created: Worker[] = [];
let warnings: string[] = [];
const log: Log = { ...silentLog, warn: (text) => void warnings.push(text) };

afterEach(() => {
  for (const worker of created) worker.terminate();
  created = [];
  warnings = [];
});

/** Starts a Worker of which each try runs the next of these. */
async function start(...codes: readonly string[]): Promise<Worker> {
  const create = () => {
    const code = codes[created.length] ?? "";
    const worker = new Worker(`data:text/javascript,${encodeURIComponent(code)}`);
    created.push(worker);
    return worker;
  };
  return await startWorker({ log, create, startMs: START_MS });
}

describe("a device's Worker", () => {
  test("is handed out when its code runs, and takes messages", async () => {
    const worker = await start(STARTS);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage("hello");
    expect(await promise).toBe("hello");
    expect(warnings).toEqual([]);
  });

  test("that does not start is replaced, with a warning", async () => {
    expect(await start(HANGS, HANGS, STARTS)).toBe(created[2] as Worker);
    expect(warnings).toHaveLength(2);
  });

  test("that never starts is an error", async () => {
    await expect(start(HANGS, HANGS, HANGS, STARTS)).rejects.toThrow(
      "No Worker started in 3 tries",
    );
  });

  test("that fails says why", async () => {
    await expect(start(FAILS)).rejects.toThrow("no memory left");
  });
});
