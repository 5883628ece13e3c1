import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hubCacheFolder, readHubSettings } from "../../src/hub/hub-settings.ts";

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "cortex-home-"));
});

afterEach(() => rm(home, { recursive: true, force: true }));

test("the cache is where the hub's other clients have it", () => {
  const cache = (env: Record<string, string>) => hubCacheFolder({ HOME: home, ...env });
  expect(cache({})).toBe(join(home, ".cache/huggingface/hub"));
  expect(cache({ XDG_CACHE_HOME: "/x" })).toBe("/x/huggingface/hub");
  expect(cache({ XDG_CACHE_HOME: "/x", HF_HOME: "/h" })).toBe("/h/hub");
  expect(cache({ HF_HOME: "/h", HF_HUB_CACHE: "/c" })).toBe("/c");
});

test("the token comes from HF_TOKEN, else from a file", async () => {
  const token = async (env: Record<string, string>) =>
    (await readHubSettings({ HOME: home, ...env })).token;
  expect(await token({})).toBeUndefined();
  await Bun.write(join(home, ".cache/huggingface/token"), "hf_file\n");
  expect(await token({})).toBe("hf_file");
  await Bun.write(join(home, "other"), "hf_other");
  expect(await token({ HF_TOKEN_PATH: join(home, "other") })).toBe("hf_other");
  expect(await token({ HF_TOKEN: "hf_env", HF_TOKEN_PATH: join(home, "other") })).toBe("hf_env");
});

test("a token that cannot be one is refused without being shown", async () => {
  const error = await readHubSettings({ HF_TOKEN: "hf_a b" }).catch((thrown) => thrown);
  expect(error.message).toBe("The hub's token in HF_TOKEN is no token");
  const missing = readHubSettings({ HOME: home, HF_TOKEN_PATH: join(home, "none") });
  await expect(missing).rejects.toThrow("Cannot read the hub's token");
});

test("the endpoint is HF_ENDPOINT without its last slash, and offline is an error", async () => {
  const env = { HOME: home, HF_ENDPOINT: "http://mirror:81/hub/" };
  expect((await readHubSettings(env)).endpoint).toBe("http://mirror:81/hub");
  expect((await readHubSettings({ HOME: home })).endpoint).toBe("https://huggingface.co");
  await expect(readHubSettings({ HF_ENDPOINT: "mirror" })).rejects.toThrow("HF_ENDPOINT");
  await expect(readHubSettings({ HF_HUB_OFFLINE: "1" })).rejects.toThrow("HF_HUB_OFFLINE");
});
