import { expect, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import { HttpOrigin } from "../../../src/gateway/upstream/http-origin.ts";
import { classifyFailure } from "../../../src/gateway/upstream/json-call.ts";
import { HttpNeuronApi } from "../../../src/gateway/upstream/neuron-api.ts";
import { fakeNeuron } from "../fixture.ts";

/** How asking that address for its health fails. */
async function failureOf(endpoint: string): Promise<unknown> {
  const origin = new HttpOrigin({ endpoint, token: undefined });
  const reports = { nowMs: () => 0, onNonsense: () => undefined };
  try {
    return await new HttpNeuronApi(origin, reports).health({ timeoutMs: 50 });
  } catch (thrown) {
    return thrown;
  } finally {
    origin.close();
  }
}

test("a peer that refuses, that says nothing, and that answers nonsense are told apart", async () => {
  const dead = fakeNeuron();
  await dead.kill();
  expect(classifyFailure(await failureOf(dead.url))).toBe("refused");
  const hung = fakeNeuron();
  hung.hung = true;
  expect(classifyFailure(await failureOf(hung.url))).toBe("silent");
  const foreign = Bun.serve({ port: 0, fetch: () => new Response("Busy", { status: 503 }) });
  expect(classifyFailure(await failureOf(foreign.url.origin))).toBe("wrong");
  await foreign.stop(true);
});

test("a host without an address or a way there is silent, a lost connection and a bug are not", () => {
  const figures = { cause: "EHOSTUNREACH" };
  const noWay = new CortexError("unavailable", "Cannot connect", { figures });
  expect(classifyFailure(noWay)).toBe("silent");
  expect(classifyFailure(new CortexError("neuron_failed", "Connection lost"))).toBe("wrong");
  expect(classifyFailure(new CortexError("unavailable", "Draining"))).toBe("wrong");
  expect(classifyFailure(new TypeError("undefined is no object"))).toBe("wrong");
});
