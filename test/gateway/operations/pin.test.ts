import { expect, test } from "bun:test";
import { errorOf, fakeNeuron, gatewayOver } from "../fixture.ts";

test("a pin is set where the model is ready, and loads nothing elsewhere", async () => {
  const neuron = fakeNeuron().addModel("here", { state: "ready" }).addModel("away");
  const gateway = await gatewayOver([neuron]);
  await gateway.until(({ models }) => models.length === 2);
  const pin = (model: string) =>
    gateway.post("/admin/load", { model, neuron: "a", pinned: true, only_ready: true });
  expect((await pin("here")).status).toBe(200);
  expect(neuron.model("here").pinned).toBe(true);
  const refused = await pin("away");
  expect(refused.status).toBe(409);
  expect((await errorOf(refused)).message).toBe("Model 'away' is absent on a, not ready");
  expect(neuron.model("away").state).toBe("absent");
});
