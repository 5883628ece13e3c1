import { expect, test } from "bun:test";
import { Subscription } from "../../../src/neuron/events/event-hub.ts";

test("a reader that falls too far behind gets a fresh snapshot instead of a growing queue", async () => {
  let snapshots = 0;
  const subscription = new Subscription(() => {
    snapshots += 1;
    return `snapshot ${snapshots}`;
  });
  expect(await subscription.next()).toBe("snapshot 1");
  subscription.push("a");
  subscription.push("b");
  expect(await subscription.next()).toBe("ab");
  for (let event = 0; event < 1_000; event += 1) subscription.push("x");
  expect(await subscription.next()).toBe("snapshot 2");
  subscription.push("c");
  expect(await subscription.next()).toBe("c");
  subscription.close();
  expect(await subscription.next()).toBeUndefined();
});
