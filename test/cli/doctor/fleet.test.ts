import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { AdminClient } from "../../../src/cli/client/admin-client.ts";
import { checkFleet } from "../../../src/cli/doctor/fleet-checks.ts";
import { commandOutputSchema } from "../../../src/protocol/command-output.ts";
import type { NeuronStatus } from "../../../src/protocol/status.ts";
import { FakeAdminServer, sampleStatus } from "../fake-admin-server.ts";
import { runMain } from "../run-main.ts";

setDefaultTimeout(60_000);

let gateway: FakeAdminServer;
let servers: Bun.Server<undefined>[];

beforeEach(() => {
  gateway = new FakeAdminServer();
  gateway.answer("/health", {});
  servers = [];
});

afterEach(async () => {
  await gateway.stop();
  for (const server of servers) await server.stop(true);
});

/** A neuron's health with a clock that is so many seconds ahead. */
function clockAhead(seconds: number): string {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      const date = new Date(Date.now() + seconds * 1000).toUTCString();
      return Response.json({}, { headers: { date } });
    },
  });
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

function neuron(name: string, changes: Partial<NeuronStatus> = {}): NeuronStatus {
  const [sample] = sampleStatus().neurons;
  if (sample === undefined) throw new Error("The sample has no neuron");
  return { ...sample, name, instance: name, endpoint: clockAhead(0), ...changes };
}

async function check(neurons: readonly NeuronStatus[]) {
  gateway.answer("/admin/status", sampleStatus({ neurons: [...neurons] }));
  const client = new AdminClient({ url: gateway.url, timeoutMs: 5_000 });
  const findings = await checkFleet(client, { isNamed: true });
  return {
    findings,
    problems: findings.filter(({ state }) => state === "problem"),
  };
}

describe("doctor's look at the fleet", () => {
  test("finds nothing wrong where nothing is", async () => {
    const { findings, problems } = await check([neuron("a"), neuron("b")]);
    expect(problems).toEqual([]);
    const checks = findings.map(({ check: name }) => name);
    expect(checks).toEqual(["gateway", "neuron", "neuron", "versions", "duplicates", "clocks"]);
  });

  test("names who is down, drained, poisoned or of another version, and what to type", async () => {
    const poisoned = neuron("d");
    const [device] = poisoned.devices;
    if (device === undefined) throw new Error("The sample has no device");
    const { problems } = await check([
      neuron("a", { state: "down", cause: "no answer", endpoint: "http://gpu-a:13131" }),
      neuron("b", { state: "drained" }),
      neuron("c", { version: "9.9.9" }),
      { ...poisoned, devices: [{ ...device, state: "poisoned", cause: "an illegal address" }] },
    ]);
    expect(problems.map(({ text, mend }) => [text, mend])).toEqual([
      ["a at http://gpu-a:13131 is down: no answer", "ssh gpu-a sudo systemctl restart neuron"],
      ["b takes no requests: it is drained", "cortex undrain b"],
      [
        "device 0 of d is poisoned: an illegal address",
        "ssh 127.0.0.1 sudo systemctl restart neuron",
      ],
      ["c has version 9.9.9, the gateway 0.1.0", "ssh 127.0.0.1 sudo dnf upgrade 'helexa-neuron*'"],
    ]);
  });

  test("finds one neuron under two names, and two that share a device", async () => {
    const twice = await check([neuron("a", { instance: "i" }), neuron("b", { instance: "i" })]);
    expect(twice.problems.map(({ check: name }) => name)).toEqual(["duplicates"]);
    const share = (name: string) => {
      const one = neuron(name);
      return { ...one, devices: one.devices.map((each) => ({ ...each, pci: "0000:65:00.0" })) };
    };
    const shared = await check([share("a"), share("b")]);
    expect(shared.problems[0]?.text).toBe("a and b both serve device 0000:65:00.0 of one host");
  });

  test("finds a clock that is wrong", async () => {
    const { problems } = await check([
      neuron("a"),
      neuron("b", { endpoint: clockAhead(60) }),
      neuron("c", { endpoint: clockAhead(-60) }),
    ]);
    expect(problems.map(({ check: name }) => name)).toEqual(["clocks", "clocks"]);
    expect(problems[0]?.text).toMatch(/^b is (59|60|61) s ahead of the gateway$/);
    expect(problems[1]?.text).toMatch(/^c is (59|60|61) s behind the gateway$/);
  });

  test("a gateway that was named must answer, another one need not be there", async () => {
    const client = new AdminClient({ url: "http://127.0.0.1:1", timeoutMs: 5_000 });
    const [named] = await checkFleet(client, { isNamed: true });
    expect(named).toMatchObject({ state: "problem", mend: "sudo systemctl restart cortex" });
    const [other] = await checkFleet(client, { isNamed: false });
    expect(other?.state).toBe("skipped");
  });
});

describe("cortex doctor", () => {
  test("ends with 1 for a problem and prints its schema", async () => {
    gateway.answer("/admin/status", sampleStatus({ neurons: [neuron("a", { state: "drained" })] }));
    const { code, stdout } = await runMain(["doctor", "--host", gateway.url, "--json"]);
    expect(code).toBe(1);
    const line: unknown = JSON.parse(stdout);
    expect(Value.Check(commandOutputSchema("doctor"), line)).toBe(true);
    expect(line).toMatchObject({ command: "doctor", ok: false, problems: 1 });
    const text = await runMain(["doctor", "--host", gateway.url]);
    expect(text.stdout).toMatch(/^PROBLEM {2}neuron +a takes no requests: it is drained\n +try: /m);
    expect(text.stdout).toEndWith("\n\n1 problem\n");
  });

  test("ends with 0 where all is well, and is silent when told so", async () => {
    gateway.answer("/admin/status", sampleStatus({ neurons: [neuron("a")] }));
    const quiet = await runMain(["doctor", "--host", gateway.url, "-q"]);
    expect(quiet).toEqual({ code: 0, stdout: "", stderr: "" });
    expect((await runMain(["doctor", "--host", gateway.url])).stdout).toContain("Nothing is wrong");
  });
});
