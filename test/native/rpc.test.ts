import { describe, expect, test } from "bun:test";
import { looseEvents, SKIP_REASON, sharedDrainer, TestDevice, tinyModel } from "./harness.ts";

async function freePort(): Promise<number> {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = server;
  server.stop(true);
  return port;
}

describe.skipIf(SKIP_REASON !== undefined)("devices of another host", () => {
  test("serve a model over RPC, and their loss is a fault that this host survives", async () => {
    const { engine } = sharedDrainer();
    const port = await freePort();
    const script = new URL("./rpc-server.ts", import.meta.url).pathname;
    const server = Bun.spawn([process.execPath, script, String(port)], {
      stdout: "ignore",
      stderr: "ignore",
    });
    let added = false;
    for (let attempt = 0; attempt < 100 && !added; attempt++) {
      try {
        engine.init({ rpc_servers: [`127.0.0.1:${port}`] });
        added = true;
      } catch {
        await Bun.sleep(50);
      }
    }
    expect(engine.discover().devices.some((device) => device.kind === "remote")).toBe(true);

    const local = await TestDevice.open("local");
    const remote = await TestDevice.open("remote", { kind: "remote" });
    const path = await tinyModel("far");
    await local.load("near", path);
    await remote.load("far", path);
    const near = await local.chat("near").done;
    const far = await remote.chat("far").done;
    expect(far.last.kind).toBe("result");
    expect(far.result.usage).toEqual(near.result.usage);

    const doomed = remote.chat("far", { stream: true, max_tokens: 1900, ignore_eos: true });
    await doomed.until((event) => event.kind === "chunk");
    server.kill();
    await server.exited;
    expect((await doomed.done).last.status).toBe("fault");
    expect(looseEvents("fault").some((fault) => fault["device"] === "remote")).toBe(true);
    expect((await local.chat("near").done).last.kind).toBe("result");
    const lost = engine.discover().devices.find((device) => device.kind === "remote");
    expect(lost?.memory_free_bytes).toBe(0);
    await local.close();
  }, 30_000);
});
