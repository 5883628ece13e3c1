import { expect, test } from "bun:test";
import { formatHubSource, parseHubSource } from "../../src/hub/hub-source.ts";

const none = { quantization: undefined, file: undefined };

test("every form of a source is read", () => {
  const repository = "owner/name";
  const revision = "main";
  expect(parseHubSource("hf:owner/name")).toEqual({ repository, revision, ...none });
  expect(parseHubSource("hf:owner/name:Q4_K_M")).toEqual({
    ...{ repository, revision },
    ...{ quantization: "Q4_K_M", file: undefined },
  });
  expect(parseHubSource("hf:owner/name/a/b-Q8_0.gguf")).toEqual({
    ...{ repository, revision },
    ...{ quantization: undefined, file: "a/b-Q8_0.gguf" },
  });
  expect(parseHubSource("hf:owner/name@v1.0:Q8_0")).toEqual({
    ...{ repository, revision: "v1.0" },
    ...{ quantization: "Q8_0", file: undefined },
  });
  expect(parseHubSource("hf:owner/name@refs/pr/3/x.gguf")).toEqual({
    ...{ repository, revision: "refs/pr/3" },
    ...{ quantization: undefined, file: "x.gguf" },
  });
  expect(parseHubSource("hf:owner/name@v2/a/x.gguf")).toEqual({
    ...{ repository, revision: "v2" },
    ...{ quantization: undefined, file: "a/x.gguf" },
  });
});

test.each([
  "owner/name",
  "https://huggingface.co/owner/name",
  "hf:https://evil/x",
  "hf:name",
  "hf:owner/name/x.bin",
  "hf:owner/name/../../x.gguf",
  "hf:owner/name/a//x.gguf",
  "hf:../name",
  "hf:own--er/name",
  "hf:owner/name@../x",
  "hf:owner/name@",
  "hf:owner/name:",
  "hf:owner/name:Q4 K",
  "hf:owner/name:../../x",
  "hf:owner/name/x\u0000.gguf",
  "hf:owner/name/a\\b.gguf",
  "hf:/etc/passwd",
  `hf:owner/${"x".repeat(600)}`,
])("%j is refused", (text) => {
  expect(() => parseHubSource(text)).toThrow("it must be hf:owner/repository");
});

test.each(["hf:o/n", "hf:o/n:Q4_K_M", "hf:o/n@v1/x.gguf", "hf:o/n@refs/pr/1:F16"])(
  "%s is written as it was read",
  (text) => {
    expect(formatHubSource(parseHubSource(text))).toBe(text);
  },
);
