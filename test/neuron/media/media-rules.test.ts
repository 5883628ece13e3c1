import { describe, expect, test } from "bun:test";
import { CortexError } from "../../../src/base/errors.ts";
import { readImageHeader } from "../../../src/neuron/media/image-header.ts";
import { checkMedia } from "../../../src/neuron/media/media-rules.ts";

const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

/** A JPEG's segments without its pixels: start, an application segment, the frame's header, end. */
const JPEG = new Uint8Array([
  ...[0xff, 0xd8, 0xff, 0xe0, 0x00, 0x04, 0x01, 0x02, 0xff, 0xc2, 0x00, 0x0b, 0x08],
  ...[0x01, 0x02, 0x03, 0x04, 0x01, 0x01, 0x11, 0x00, 0xff, 0xd9],
]);

const SEES = { model: "eyes", capabilities: ["chat", "vision"] };

function image(url: unknown) {
  return [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }];
}

function urlOf(messages: readonly { readonly content?: unknown }[]): string {
  const [message] = messages as { content: { image_url: { url: string } }[] }[];
  return message?.content[0]?.image_url.url ?? "";
}

function refusal(run: () => unknown): CortexError {
  try {
    run();
  } catch (error) {
    if (error instanceof CortexError) return error;
    throw error;
  }
  throw new Error("It was not refused");
}

describe("an image", () => {
  test("goes to the engine as one form of data: URL", () => {
    const url = `data:image/PNG;charset=utf-8;base64,${PNG.slice(0, 40)}\n${PNG.slice(40)}`;
    expect(urlOf(checkMedia(image(url), SEES))).toBe(`data:image/png;base64,${PNG}`);
    expect(urlOf(checkMedia(image(`data:image/gif;base64,${GIF}`), SEES))).toContain("image/gif");
    const jpeg = `data:image/jpg;base64,${JPEG.toBase64()}`;
    expect(urlOf(checkMedia(image(jpeg), SEES))).toStartWith("data:image/jpeg;base64,");
  });

  test("is taken as a plain address, too, as some clients write it", () => {
    const messages = [
      { role: "user", content: [{ type: "image_url", image_url: `data:image/png;base64,${PNG}` }] },
    ];
    expect(urlOf(checkMedia(messages, SEES))).toContain(PNG);
  });

  const cases: readonly (readonly [string, unknown, string])[] = [
    ["of no base64", "data:image/png;base64,@@@@", "base64"],
    ["of another type than is decoded", `data:image/webp;base64,${PNG}`, "image/webp"],
    ["of a type that is no image", `data:text/html;base64,${PNG}`, "text/html"],
    ["of another type than it says", `data:image/jpeg;base64,${PNG}`, "image/png"],
    ["that is truncated", `data:image/png;base64,${PNG.slice(0, 60)}`, "too early"],
    ["that is empty", "data:image/png;base64,", "no image"],
    ["that is something else", `data:image/png;base64,${btoa("hello world")}`, "no image"],
    ["at an address", "https://example.com/x.png", "data: URL"],
    ["at a path", "/etc/passwd", "data: URL"],
    ["that is no text", 7, "data: URL"],
  ];
  for (const [what, url, word] of cases) {
    test(`${what} is refused with its place`, () => {
      const error = refusal(() => checkMedia(image(url), SEES));
      expect(error.code).toBe("invalid_request");
      expect(error.param).toBe("messages[0].content[0].image_url.url");
      expect(error.message).toContain(word);
    });
  }

  test("of too many pixels is refused before anybody unpacks it", () => {
    const huge = Uint8Array.fromBase64(PNG);
    new DataView(huge.buffer).setUint32(16, 100_000);
    new DataView(huge.buffer).setUint32(20, 100_000);
    const url = `data:image/png;base64,${huge.toBase64()}`;
    expect(refusal(() => checkMedia(image(url), SEES)).message).toContain("100000 x 100000");
  });

  test("of too many bytes is refused before it is decoded", () => {
    const url = `data:image/png;base64,${"A".repeat(30_000_000)}`;
    expect(refusal(() => checkMedia(image(url), SEES)).message).toContain("20971520");
  });

  test("among too many is refused", () => {
    const part = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
    const messages = [{ role: "user", content: Array(65).fill(part) }];
    expect(refusal(() => checkMedia(messages, SEES)).message).toContain("64");
  });

  test("for a model without a projector is refused with the model's name", () => {
    const blind = { model: "mole", capabilities: ["chat"] };
    const error = refusal(() => checkMedia(image(`data:image/png;base64,${PNG}`), blind));
    expect(error.message).toContain("'mole' does not take images");
  });

  test("is read in its size", () => {
    expect(readImageHeader(Uint8Array.fromBase64(GIF))).toMatchObject({ width: 1, height: 1 });
    expect(readImageHeader(JPEG)).toMatchObject({ width: 0x0304, height: 0x0102 });
    const bmp = new Uint8Array(58);
    bmp.set([0x42, 0x4d, 58]);
    new DataView(bmp.buffer).setInt32(18, 3, true);
    new DataView(bmp.buffer).setInt32(22, -5, true);
    expect(readImageHeader(bmp)).toEqual({
      type: "image/bmp",
      width: 3,
      height: 5,
      isComplete: true,
    });
  });

  test("of any damage is answered and never crashes the reader", () => {
    for (const bytes of [Uint8Array.fromBase64(PNG), Uint8Array.fromBase64(GIF), JPEG]) {
      for (let length = 0; length < bytes.length; length += 1) {
        const header = readImageHeader(bytes.slice(0, length));
        expect(header?.isComplete ?? false).toBe(false);
      }
    }
  });
});

describe("sound", () => {
  const sound = (input_audio: unknown) => [
    { role: "user", content: [{ type: "input_audio", input_audio }] },
  ];
  const HEARS = { model: "ears", capabilities: ["audio"] };

  test("is taken by a model with a projector for it", () => {
    expect(checkMedia(sound({ data: "AAAA", format: "wav" }), HEARS)).toEqual(
      sound({ data: "AAAA", format: "wav" }),
    );
  });

  test("is refused by any other, and where it is no sound", () => {
    const good = { data: "AAAA", format: "wav" };
    expect(refusal(() => checkMedia(sound(good), SEES)).message).toContain("'eyes'");
    for (const bad of [{ ...good, format: "flac" }, { ...good, data: "http://x" }, null]) {
      expect(refusal(() => checkMedia(sound(bad), HEARS)).code).toBe("invalid_request");
    }
  });
});
