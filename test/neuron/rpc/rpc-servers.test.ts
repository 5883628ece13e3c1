import { describe, expect, test } from "bun:test";
import { shakeHands } from "../../../src/neuron/rpc/handshake.ts";
import { RpcServers } from "../../../src/neuron/rpc/rpc-servers.ts";
import { checkRpcAddress } from "../../../src/neuron/rpc/serve-rpc.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { RecordingLog } from "../../fakes/recording-log.ts";

describe("RPC servers", () => {
  test("that are missing at the start are taken in when they come up", async () => {
    const [log, clock, stop] = [new RecordingLog(), new FakeClock(), new AbortController()];
    const added: string[] = [];
    let isUp = false;
    const servers = new RpcServers({
      add: (endpoint) => added.push(endpoint),
      endpoints: ["a:1", "b:2"],
      log,
      greet: async (endpoint) =>
        endpoint === "a:1" || isUp
          ? { ok: true, version: "1" }
          : { ok: false, cause: "RPC server b:2 cannot be reached" },
    });
    expect(await servers.takeIn()).toBe(true);
    expect(servers.list()).toEqual([
      { endpoint: "a:1" },
      { endpoint: "b:2", cause: "RPC server b:2 cannot be reached" },
    ]);
    let joined = 0;
    const watching = servers.watch({ clock, signal: stop.signal, onJoined: () => joined++ });
    await clock.advance(15_000);
    expect(joined).toBe(0);
    isUp = true;
    await clock.advance(15_000);
    await watching;
    expect(joined).toBe(1);
    expect(added).toEqual(["a:1", "b:2"]);
    expect(log.lines.filter((line) => line.level === "warn")).toHaveLength(1);
  });

  test("that the engine cannot take in are missing with its cause", async () => {
    const servers = new RpcServers({
      add: () => {
        throw new Error("RPC server a:1 has no devices");
      },
      endpoints: ["a:1"],
      log: new RecordingLog(),
      greet: async () => ({ ok: true, version: "1" }),
    });
    expect(await servers.takeIn()).toBe(false);
    expect(servers.list()[0]?.cause).toContain("has no devices");
  });
});

describe("a handshake", () => {
  test("ends in time with a server that is busy with another client", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: () => undefined },
    });
    const answer = await shakeHands(`127.0.0.1:${server.port}`, 50);
    server.stop(true);
    expect(answer).toMatchObject({ ok: false });
    expect(answer.ok === false && answer.cause).toContain("does not answer");
  });

  test("says so where nobody listens, and where something else does", async () => {
    const other = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n".repeat(3)) },
    });
    const wrong = await shakeHands(`127.0.0.1:${other.port}`);
    other.stop(true);
    expect(wrong).toEqual({ ok: false, cause: "No RPC server: it answers in another protocol" });
    const none = await shakeHands(`127.0.0.1:${other.port}`);
    expect(none.ok === false && none.cause).toContain("cannot be reached");
  });
});

test("RPC is served on explicit private addresses alone", () => {
  for (const listen of ["10.0.0.7:13140", "127.0.0.1:1", "192.168.1.2:65535", "100.64.3.4:5"]) {
    expect(() => checkRpcAddress(listen)).not.toThrow();
  }
  for (const listen of [
    "0.0.0.0:1",
    "8.8.8.8:1",
    "box:1",
    "10.0.0.7:0",
    "224.0.0.1:5",
    "[::1]:5",
  ]) {
    expect(() => checkRpcAddress(listen)).toThrow(`Cannot serve RPC on ${listen}`);
  }
});
