import { afterEach, beforeEach, expect, test } from "bun:test";
import { AdminClient } from "../../../src/cli/client/admin-client.ts";
import { followLoad } from "../../../src/cli/client/follow-load.ts";
import { FakeAdminServer, sampleStatus } from "../fake-admin-server.ts";

let server: FakeAdminServer;
let client: AdminClient;

beforeEach(() => {
  server = new FakeAdminServer();
  client = new AdminClient({ url: server.url, timeoutMs: 0 });
});

afterEach(() => server.stop());

/** The sample's model on its way into memory. */
function loading(progress: number) {
  const status = sampleStatus();
  const models = status.models.map((model) => ({
    ...model,
    replicas: model.replicas.map((replica) => ({
      ...replica,
      ...{ state: "loading" as const, progress },
    })),
  }));
  return { ...status, models };
}

/** An output that tells of what is written, so that nobody has to wait by the clock. */
function listen(isTTY: boolean) {
  const first = Promise.withResolvers<string>();
  const written: string[] = [];
  const write = (text: string) => {
    written.push(text);
    first.resolve(text);
  };
  return { output: { isTTY, columns: 80, write }, first: first.promise, written };
}

test("a load shows its progress on a terminal until it ends", async () => {
  server.answer("/admin/status", loading(0.42));
  const { output, first, written } = listen(true);
  const load = Promise.withResolvers<string>();
  const wanted = { model: "small", neuron: undefined };
  const done = followLoad(client, { ...wanted, answer: load.promise, output });
  expect(await first).toMatch(/42 % {2}0 s .*smollm2 on box/);
  load.resolve("ready");
  expect(await done).toBe("ready");
  expect(written.at(-1)).toBe("\r\u001B[K");
});

test("a load's own failure is what is thrown, also while the status never comes", async () => {
  const { output, written } = listen(true);
  const wanted = { model: "small", neuron: "box" };
  const answer = Promise.reject(new Error("It does not fit"));
  await expect(followLoad(client, { ...wanted, answer, output })).rejects.toThrow("not fit");
  expect(written).toEqual([]);
});

test("where no terminal is nothing is asked and nothing written", async () => {
  server.answer("/admin/status", loading(0.42));
  const { output, written } = listen(false);
  const wanted = { model: "small", neuron: undefined };
  await followLoad(client, { ...wanted, answer: Promise.resolve("ready"), output });
  expect({ written, asked: server.asked }).toEqual({ written: [], asked: [] });
});
