import { afterEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CortexError } from "../../../src/base/errors.ts";
import {
  ResponseStore,
  type StoreLimits,
} from "../../../src/gateway/stored-responses/response-store.ts";
import type { JsonObject } from "../../../src/translate/chat/types.ts";

const LIMITS: StoreLimits = { bytesMax: 1024 * 1024, countMax: 100, daysMax: 30 };
const DAY_MS = 86_400_000;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

let nowMs = 1_700_000_000_000;

function openStore(limits: Partial<StoreLimits> = {}, path = ":memory:"): ResponseStore {
  const store = new ResponseStore({
    path,
    limits: { ...LIMITS, ...limits },
    nowMs: () => nowMs,
  });
  closing.push(() => store.close());
  return store;
}

function record(name: string, previousId?: string) {
  return {
    response: {
      id: `resp_${name}`,
      object: "response",
      output: [message(`msg_${name}`, "assistant", `answer ${name}`)],
      model: "m",
    },
    inputItems: [message(`in_${name}`, "user", `question ${name}`)],
    previousId,
  };
}

function message(id: string, role: string, text: string): JsonObject {
  return { id, type: "message", role, content: [{ type: "input_text", text }] };
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "cortex-store-"));
  try {
    await use(folder);
  } finally {
    for (const close of closing.splice(0)) close();
    await rm(folder, { recursive: true });
  }
}

function errorOf(work: () => unknown): CortexError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof CortexError) return thrown;
    throw thrown;
  }
  throw new Error("Nothing was thrown");
}

describe("a store of responses", () => {
  test("gives back what was put, with its keys in their order", () => {
    const store = openStore();
    expect(store.put(record("a"))).toBe(true);
    expect(JSON.stringify(store.get("resp_a"))).toBe(JSON.stringify(record("a").response));
    expect(store.get("resp_b")).toBeUndefined();
  });

  test("replaces a response that is put again", () => {
    const store = openStore();
    store.put(record("a"));
    const once = store.getTotals();
    store.put(record("a"));
    expect(store.getTotals()).toEqual(once);
  });

  test("forgets a deleted response, its items and its bytes", () => {
    const store = openStore();
    store.put(record("a"));
    expect(store.delete("resp_a")).toBe(true);
    expect(store.delete("resp_a")).toBe(false);
    expect(store.findItem("msg_a")).toBeUndefined();
    expect(store.getTotals()).toEqual({ count: 0, bytes: 0 });
  });

  test("finds input and output items by id, the newest where ids repeat", () => {
    const store = openStore();
    store.put(record("a"));
    expect(store.findItem("in_a")).toEqual(message("in_a", "user", "question a"));
    const again = { ...record("b"), inputItems: [message("in_a", "user", "changed")] };
    store.put(again);
    expect(store.findItem("in_a")).toEqual(message("in_a", "user", "changed"));
    expect(store.findItem("msg_a")).toEqual(message("msg_a", "assistant", "answer a"));
  });

  test("gives a conversation from its first turn to its last", () => {
    const store = openStore();
    store.put(record("a"));
    store.put(record("b", "resp_a"));
    store.put(record("x"));
    store.put(record("c", "resp_b"));
    const ids = store.getConversation("resp_c").map((item) => item["id"]);
    expect(ids).toEqual(["in_a", "msg_a", "in_b", "msg_b", "in_c", "msg_c"]);
  });

  test("names the response that a conversation lacks", () => {
    const store = openStore();
    store.put(record("a"));
    store.put(record("b", "resp_a"));
    store.delete("resp_a");
    const error = errorOf(() => store.getConversation("resp_b"));
    expect(error.message).toBe("Previous response with id 'resp_a' not found");
    expect(error).toMatchObject({ code: "invalid_request", param: "previous_response_id" });
  });

  test("refuses a chain beyond its limit of bytes", () => {
    const store = openStore({ bytesMax: 512 * 1024 * 1024 });
    const text = "x".repeat(40 * 1024 * 1024);
    store.put({ ...record("a"), inputItems: [message("in_a", "user", text)] });
    store.put({ ...record("b", "resp_a"), inputItems: [message("in_b", "user", text)] });
    expect(store.getConversation("resp_a")).toHaveLength(2);
    expect(errorOf(() => store.getConversation("resp_b")).message).toContain("67108864 bytes");
  });

  test("lets the oldest go when there are too many", () => {
    const store = openStore({ countMax: 3 });
    for (const name of ["a", "b", "c", "d", "e"]) store.put(record(name));
    const kept = ["a", "b", "c", "d", "e"].filter((name) => store.get(`resp_${name}`));
    expect(kept).toEqual(["c", "d", "e"]);
    expect(store.getTotals().count).toBe(3);
  });

  test("lets the oldest go when there are too many bytes, and never holds more", () => {
    const store = openStore({ bytesMax: 5000 });
    for (let index = 0; index < 50; index++) {
      const text = "y".repeat((index * 37) % 900);
      store.put({ ...record(`${index}`), inputItems: [message(`in_${index}`, "user", text)] });
      expect(store.getTotals().bytes).toBeLessThanOrEqual(5000);
    }
    expect(store.get("resp_49")).toBeDefined();
    expect(store.get("resp_0")).toBeUndefined();
  });

  test("does not take a response larger than itself, and keeps the others", () => {
    const store = openStore({ bytesMax: 5000 });
    store.put(record("a"));
    const large = { ...record("b"), inputItems: [message("in_b", "user", "z".repeat(6000))] };
    expect(store.put(large)).toBe(false);
    expect(store.get("resp_a")).toBeDefined();
  });

  test("keeps nothing where none may be kept", () => {
    const store = openStore({ countMax: 0 });
    expect(store.put(record("a"))).toBe(false);
    expect(store.getTotals().count).toBe(0);
  });

  test("forgets what is too old, at once for readers and later for good", () => {
    const store = openStore({ daysMax: 2 });
    store.put(record("a"));
    nowMs += DAY_MS;
    store.put(record("b", "resp_a"));
    nowMs += DAY_MS + 1;
    expect(store.get("resp_a")).toBeUndefined();
    expect(store.findItem("in_a")).toBeUndefined();
    expect(store.get("resp_b")).toBeDefined();
    expect(errorOf(() => store.getConversation("resp_b")).param).toBe("previous_response_id");
    store.put(record("c"));
    expect(store.getTotals().count).toBe(2);
  });

  test("counts bytes and not characters", () => {
    const store = openStore();
    store.put({ ...record("a"), inputItems: [message("in", "user", "é".repeat(1000))] });
    expect(store.getTotals().bytes).toBeGreaterThan(2000);
  });
});

describe("a store in a file", () => {
  test("keeps its responses over a restart, and its limits apply to them", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "deep", "responses.sqlite");
      const first = openStore({}, path);
      for (const name of ["a", "b", "c"]) first.put(record(name));
      first.close();
      const second = openStore({ countMax: 2 }, path);
      expect(second.get("resp_a")).toBeUndefined();
      expect(second.get("resp_c")).toEqual(record("c").response);
      expect(second.getTotals().count).toBe(2);
    });
  });

  test("is readable by its owner alone", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "responses.sqlite");
      openStore({}, path).put(record("a"));
      for (const file of [path, `${path}-wal`]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    });
  });

  test("is shared by two gateways, which keep its limits together", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "responses.sqlite");
      const [one, other] = [openStore({ countMax: 10 }, path), openStore({ countMax: 10 }, path)];
      for (let index = 0; index < 20; index++) {
        (index % 2 === 0 ? one : other).put(record(`${index}`));
      }
      expect(one.getTotals()).toEqual(other.getTotals());
      expect(one.getTotals().count).toBe(10);
      expect(one.get("resp_19")).toEqual(record("19").response);
    });
  });

  test("is refused by name when it is none, or has another layout", async () => {
    await withFolder(async (folder) => {
      const text = join(folder, "text");
      await Bun.write(text, "no database at all, but long enough to be read as one".repeat(100));
      expect(errorOf(() => openStore({}, text))).toMatchObject({
        code: "invalid_config",
        message: `Cannot open the store of responses '${text}'`,
      });
      const other = join(folder, "other.sqlite");
      const { Database } = await import("bun:sqlite");
      const database = new Database(other, { create: true });
      database.run("PRAGMA user_version = 7");
      database.close();
      expect(errorOf(() => openStore({}, other)).message).toContain("version 7, not 1");
    });
  });

  test("says so when it cannot be written", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "responses.sqlite");
      const store = openStore({}, path);
      const { Database } = await import("bun:sqlite");
      const blocker = new Database(path);
      blocker.run("BEGIN IMMEDIATE");
      expect(errorOf(() => store.put(record("a"))).code).toBe("unavailable");
      blocker.run("ROLLBACK");
      blocker.close();
      expect(store.put(record("a"))).toBe(true);
    });
  });
});
