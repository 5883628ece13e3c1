import { expect, test } from "bun:test";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { startSuccessor } from "../../src/lifecycle/start-successor.ts";
import { FakeClock } from "../fakes/fake-clock.ts";

const SCRIPT = join(import.meta.dir, "successor.ts");

function listen(): { readonly fd: number; readonly port: number; stop: () => void } {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { open: (socket) => void socket.end("predecessor"), data: () => undefined },
  });
  const { fd } = server as unknown as { fd: number };
  return { fd, port: server.port, stop: () => server.stop(false) };
}

function successor(what: string, server: { readonly fd: number; readonly port: number }) {
  return {
    command: [process.execPath, SCRIPT, what],
    sockets: [{ name: "clients", address: "127.0.0.1:0", fd: server.fd, port: server.port }],
    deadlineMs: 30_000,
    clock: systemClock,
    signal: new AbortController().signal,
  };
}

async function greeting(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_, bytes) => {
        text += bytes.toString();
      },
      close: () => resolve(text),
    },
  });
  return await promise;
}

test("a successor serves on the socket that its predecessor lets go", async () => {
  const server = listen();
  const pid = await startSuccessor(successor("greet", server));
  server.stop();
  expect(await greeting(server.port)).toBe(`${pid} at ${server.port}, undefined`);
});

test("a successor that ends is told with its code, and the predecessor goes on", async () => {
  const server = listen();
  const started = startSuccessor(successor("end", server));
  await expect(started).rejects.toThrow("ended with code 3");
  expect(await greeting(server.port)).toBe("predecessor");
  server.stop();
});

test("a successor that does not serve in time is ended", async () => {
  const server = listen();
  const clock = new FakeClock();
  const started = startSuccessor({ ...successor("wait", server), clock, deadlineMs: 1_000 });
  clock.advance(1_000);
  await expect(started).rejects.toThrow("did not serve in 1000 ms");
  server.stop();
});
