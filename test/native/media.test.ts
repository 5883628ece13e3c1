import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { dirname, join } from "node:path";
import { deflateSync } from "node:zlib";
import { makeTinyProjector, TINY_IMAGE_TOKENS } from "../../scripts/make-tiny-projector.ts";
import { SKIP_REASON, TestDevice, textOf, tinyModel } from "./harness.ts";

/** A PNG of one colour. */
function png(size: number, color: readonly [number, number, number]): string {
  const row = new Uint8Array(1 + size * 3);
  for (let x = 0; x < size; x++) row.set(color, 1 + x * 3);
  const rows = Buffer.concat(Array<Uint8Array>(size).fill(row));
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const named = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(Number(Bun.hash.crc32(named)), 4);
    return Buffer.concat([frame.subarray(0, 4), named, frame.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]).toString("base64");
}

const RED = png(24, [255, 0, 0]);
const BLUE = png(40, [0, 0, 255]);

function image(data: string) {
  return { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } };
}

function question(...parts: readonly object[]) {
  return { messages: [{ role: "user", content: [{ type: "text", text: "Look." }, ...parts] }] };
}

describe.skipIf(SKIP_REASON !== undefined)("a model with a projector", () => {
  let device: TestDevice;
  let loaded: { capabilities: readonly string[] };

  beforeAll(async () => {
    device = await TestDevice.open("media");
    const path = await tinyModel("eyes");
    const mmproj = await makeTinyProjector(join(dirname(path), "mmproj-eyes.gguf"));
    loaded = await device.load("eyes", path, { slots: 2, context: 512, mmproj });
    await device.load("blind", path, { slots: 1, context: 512 });
  });

  afterAll(async () => {
    await device.close();
  });

  const count = async (body: object) =>
    (await device.submit("count_tokens", "eyes", body as Record<string, unknown>).done).result
      .input_tokens as number;

  test("says that it sees and not that it hears", () => {
    expect(loaded.capabilities).toContain("vision");
    expect(loaded.capabilities).not.toContain("audio");
  });

  test("answers to an image, other ones otherwise", async () => {
    const ask = async (data: string) => {
      const answer = await device.chat("eyes", { ...question(image(data)), max_tokens: 12 }).done;
      expect(answer.last.kind).toBe("result");
      return answer.result;
    };
    const red = await ask(RED);
    const blue = await ask(BLUE);
    expect(red.choices[0].message.content).not.toBe(blue.choices[0].message.content);
    expect((await ask(RED)).choices[0].message.content).toBe(red.choices[0].message.content);
  });

  test("counts an image's tokens as it uses them", async () => {
    const bodies = [
      question(image(RED)),
      question(image(RED), image(BLUE)),
      question(image(BLUE), { type: "text", text: "And now?" }),
    ];
    for (const body of bodies) {
      const answer = await device.chat("eyes", { ...body, max_tokens: 2 }).done;
      expect(answer.result.usage.prompt_tokens).toBe(await count(body));
    }
    const [one, two] = [await count(bodies[0] ?? {}), await count(bodies[1] ?? {})];
    expect(two - one).toBeGreaterThanOrEqual(TINY_IMAGE_TOKENS);
  });

  test("streams, takes the same prompt from its cache, and sees images in results of tools", async () => {
    const body = { ...question(image(RED)), stream: true, max_tokens: 4 };
    const first = await device.chat("eyes", body).done;
    expect(textOf(first).length).toBeGreaterThan(0);
    const again = await device.chat("eyes", body).done;
    expect(again.result.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(
      TINY_IMAGE_TOKENS,
    );
    const messages = [
      { role: "user", content: "Look." },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "c1", type: "function", function: { name: "look", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "c1", content: [image(BLUE)] },
    ];
    const result = await device.chat("eyes", { messages, max_tokens: 4 }).done;
    expect(result.last.kind).toBe("result");
    const empty = messages.map((message) =>
      message.role === "tool" ? { ...message, content: "" } : message,
    );
    expect(await count({ messages })).toBeGreaterThanOrEqual(
      (await count({ messages: empty })) + TINY_IMAGE_TOKENS,
    );
  });

  test("refuses what it cannot decode, and goes on", async () => {
    for (const data of [RED.slice(0, 60), btoa("no image at all"), ""]) {
      const answer = await device.chat("eyes", question(image(data))).done;
      expect(answer.last.status).toBe("argument");
    }
    const sound = { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } };
    expect((await device.chat("eyes", question(sound)).done).last.status).toBe("argument");
    expect((await device.chat("blind", question(image(RED))).done).last.status).toBe("argument");
    expect((await device.chat("eyes", question(image(RED))).done).last.kind).toBe("result");
  });

  test("refuses more images than its context holds, with both figures", async () => {
    const many = question(...Array<object>(130).fill(image(RED)));
    const answer = await device.chat("eyes", many).done;
    expect(answer.last.status).toBe("context");
    expect(answer.result.prompt_tokens).toBeGreaterThan(answer.result.context_tokens);
  });
});
