import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { ByteSpan } from "../../../src/base/byte-span.ts";
import { silentLog } from "../../../src/base/log.ts";
import { assertOwnMachine, isLoopback } from "../../../src/gateway/http/own-machine.ts";
import { startGateway } from "../../../src/gateway/start.ts";
import { configOf, fakeNeuron, gatewayOver } from "../fixture.ts";

interface Sent {
  readonly line: string;
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** Sends bytes as they are, as no client library would, and reads the answer's head and first bytes. */
async function send(address: string, { line, headers = [], body = "" }: Sent): Promise<string> {
  const { hostname: host, port } = new URL(address);
  const socket = connect(Number(port), host.replace(/^\[|\]$/g, ""));
  const heard = Promise.withResolvers<string>();
  let text = "";
  socket.on("data", (piece: Buffer) => {
    text += piece.toString();
    const head = text.indexOf("\r\n\r\n");
    if (head >= 0 && text.length > head + 4) heard.resolve(text);
  });
  socket.on("close", () => heard.resolve(text));
  socket.on("error", heard.reject);
  const length = body === "" ? [] : [`Content-Length: ${body.length}`];
  socket.write(`${[line, ...headers, ...length].join("\r\n")}\r\n\r\n${body}`);
  try {
    return await heard.promise;
  } finally {
    socket.destroy();
  }
}

const statusOf = (answer: string) => Number(answer.split(" ")[1]);
const JSON_TYPE = "Content-Type: application/json";
const PLAN = '{"model":"m"}';

async function served() {
  const gateway = await gatewayOver([fakeNeuron().addModel("m", { state: "ready" })]);
  await gateway.until(({ models }) => models.length > 0);
  const ask = (sent: Partial<Sent>) =>
    send(gateway.url, { line: "POST /admin/plan HTTP/1.1", body: PLAN, ...sent });
  return { gateway, ask, host: `Host: localhost:${gateway.port}` };
}

describe("routes for the machine itself", () => {
  test("answer its own programs, under each of its own names", async () => {
    const { gateway, ask } = await served();
    for (const name of ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", hostname()]) {
      for (const port of ["", `:${gateway.port}`, ":8080"]) {
        const answer = await ask({ headers: [`Host: ${name}${port}`, JSON_TYPE] });
        expect([name, statusOf(answer)]).toEqual([name, 200]);
      }
    }
  });

  test("refuse a host name that somebody else may have pointed here", async () => {
    const { gateway, ask } = await served();
    const names = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.7"];
    for (const name of [...names, "localhost@evil.example", "[::2]", ""]) {
      const headers = [`Host: ${name}:${gateway.port}`, JSON_TYPE];
      const answer = await ask({ headers });
      expect([name, statusOf(answer)]).toEqual([name, 403]);
      expect(answer).toContain("ask http://localhost and the port");
      const feed = await send(gateway.url, { line: "GET /ui/feed HTTP/1.1", headers });
      expect([name, statusOf(feed)]).toEqual([name, 403]);
    }
  });

  test("refuse what another site's page sends, a form or a script", async () => {
    const { gateway, ask, host } = await served();
    const foreign = [
      ["Origin: https://evil.example"],
      ["Origin: null"],
      ["Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"],
      [`Origin: https://localhost:${gateway.port}`],
      ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"],
      ["Sec-Fetch-Site: same-site"],
      [`Origin: http://localhost:${gateway.port}`, "Sec-Fetch-Site: cross-site"],
    ];
    for (const headers of foreign) {
      const answer = await ask({ headers: [host, JSON_TYPE, ...headers] });
      expect([headers, statusOf(answer)]).toEqual([headers, 403]);
      expect(answer).toContain('"code":"forbidden"');
    }
    const part = '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n';
    const forms: readonly (readonly [type: string, body: string])[] = [
      ["application/x-www-form-urlencoded", "model=m"],
      ["multipart/form-data; boundary=b", part],
      ["text/plain", PLAN],
      ["application/jsonp", PLAN],
    ];
    for (const [type, body] of forms) {
      const answer = await ask({ headers: [host, `Content-Type: ${type}`], body });
      expect([type, statusOf(answer)]).toEqual([type, 403]);
      expect(answer).toContain("send Content-Type: application/json");
    }
    expect(statusOf(await ask({ headers: [host] }))).toBe(403);
  });

  test("answer the gateway's own page", async () => {
    const { gateway, ask, host } = await served();
    const own = [`Origin: http://localhost:${gateway.port}`, "Sec-Fetch-Site: same-origin"];
    expect(statusOf(await ask({ headers: [host, JSON_TYPE, ...own] }))).toBe(200);
    const typed = [host, "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"];
    for (const path of ["/ui", "/ui/feed"]) {
      const answer = await send(gateway.url, { line: `GET ${path} HTTP/1.1`, headers: typed });
      expect([path, statusOf(answer)]).toEqual([path, 200]);
    }
  });

  test("refuse what a proxy on this machine passes on for others", async () => {
    const { gateway, ask, host } = await served();
    const names = ["X-Forwarded-For", "x-forwarded-proto", "Forwarded", "Via", "X-Real-IP"];
    for (const name of names) {
      const headers = [host, JSON_TYPE, `${name}: 10.0.0.7`];
      const answer = await ask({ headers });
      expect([name, statusOf(answer)]).toEqual([name, 403]);
      expect(answer).toContain(`a proxy sent this on (header ${name.toLowerCase()})`);
      const page = await send(gateway.url, { line: "GET /ui HTTP/1.1", headers });
      expect([name, statusOf(page)]).toEqual([name, 403]);
    }
    const old = await ask({ line: "POST /admin/plan HTTP/1.0", headers: [host, JSON_TYPE] });
    expect(statusOf(old)).toBe(403);
    const chat = await send(gateway.url, {
      line: "POST /v1/chat/completions HTTP/1.1",
      headers: ["Host: models.example", JSON_TYPE, "X-Forwarded-For: 10.0.0.7"],
      body: '{"model":"m","messages":[]}',
    });
    expect(statusOf(chat)).toBe(200);
  });

  test("answer the machine also at an address of its own that others reach", async () => {
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const outer = all.find(({ family, internal }) => family === "IPv4" && !internal);
    // Without any network there is no such address to ask at.
    if (outer === undefined) return;
    const config = configOf([]);
    const gateway = await startGateway({
      config: { ...config, gateway: { ...config.gateway, listen: `${outer.address}:0` } },
      profiles: { models: [] },
      log: silentLog,
    });
    const { host } = new URL(gateway.url);
    const ask = (name: string) =>
      send(gateway.url, { line: "GET /ui HTTP/1.1", headers: [`Host: ${name}`] });
    expect(statusOf(await ask(host))).toBe(200);
    expect(statusOf(await ask("evil.example"))).toBe(403);
    await gateway.stop();
  });

  test("refuse other machines and say how to come from there", () => {
    const caller = {
      ...{ method: "GET", peerAddress: "10.0.0.7", localAddress: "10.0.0.1", isHttp10: false },
      headerLines: new ByteSpan(Buffer.from("Host: localhost")),
    };
    const refused = "The dashboard answers to this machine alone, not to 10.0.0.7; from elsewhere:";
    expect(() => assertOwnMachine(caller, "The dashboard answers")).toThrow(refused);
    expect(() => assertOwnMachine(undefined, "It answers")).toThrow("not to an unknown caller");
    expect(["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"].every(isLoopback)).toBe(true);
    const others = ["10.0.0.1", "192.168.127.1", "::2", "2001:db8::127.0.0.1", "127.evil.example"];
    expect(others.some(isLoopback)).toBe(false);
  });
});
