import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ByteSpan } from "../../../src/base/byte-span.ts";
import * as fields from "../../../src/gateway/proxy/routing-fields.ts";

/** The body stands between other bytes, as it does in a socket's piece. */
function span(text: string): ByteSpan {
  const bytes = Buffer.from(`"}{${text}"}{`);
  return new ByteSpan(bytes, 3, bytes.length - 3);
}
const readRoutingFields = (text: string) => fields.readRoutingFields(span(text));
const replaceModel = (text: string, model: string) =>
  fields.replaceModel(span(text), model).toString();

describe("routing fields", () => {
  test("reads model and stream and estimates the prompt", () => {
    const text = '{"model":"m","stream":true,"messages":[]}';
    expect(readRoutingFields(text)).toMatchObject({
      model: "m",
      stream: true,
      promptTokens: 10.25,
    });
    expect(readRoutingFields('{"model":"m","stream":null}').stream).toBe(false);
  });

  test("says where the prompt is, but not for null", () => {
    const text = '{"tools":[1], "model":"m","system":null,"metadata":{"user_id":"u"}}';
    const { parts } = readRoutingFields(text);
    const read = Object.entries(parts).map(([name, { from, to }]) => [
      name,
      span(text).bytes.toString("utf8", from, to),
    ]);
    expect(read).toEqual([
      ["tools", "[1]"],
      ["metadata", '{"user_id":"u"}'],
    ]);
  });

  test("reads the same as a parser would, in any JSON object", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })),
        fc.string({ minLength: 1, maxLength: 200 }),
        fc.constantFrom(true, false, null, undefined),
        fc.constantFrom(0, 2),
        (rest, model, stream, indent) => {
          const text = JSON.stringify({ ...rest, model, stream }, null, indent);
          expect(readRoutingFields(text)).toMatchObject({ model, stream: stream === true });
        },
      ),
    );
  });

  test("a key counts however it is escaped, and the last one of several counts", () => {
    expect(readRoutingFields('{"m\\u006fdel":"a"}').model).toBe("a");
    expect(readRoutingFields('{"model":"a","model":"b"}').model).toBe("b");
    const long = `\\"${"\\\\".repeat(40)}`;
    expect(readRoutingFields(`{"x":"${long}","model":"a","y":"${long}\\""}`).model).toBe("a");
  });

  test("refuses in words that name the field", () => {
    expect(() => readRoutingFields('{"model":"m"')).toThrow("Body is not valid JSON");
    for (const cut of [
      '{"model":"m",',
      '{"model":"m"}}',
      '{"model":"m","a":[1}',
      '{"model"}',
      "{",
    ]) {
      expect(() => readRoutingFields(cut)).toThrow("Body is not valid JSON");
    }
    expect(() => readRoutingFields('{"model":nope}')).toThrow("Field 'model'");
    expect(() => readRoutingFields('"text"')).toThrow("Body must be a JSON object");
    expect(() => readRoutingFields("null")).toThrow("Body must be a JSON object");
    expect(() => readRoutingFields("{}")).toThrow("Field 'model' is missing");
    expect(() => readRoutingFields('{"model":""}')).toThrow("Field 'model' must be a string");
    expect(() => readRoutingFields(`{"model":"${"m".repeat(257)}"}`)).toThrow("256 characters");
    expect(() => readRoutingFields('{"model":"m","stream":"yes"}')).toThrow("Field 'stream'");
  });

  test("replaces the model's name and nothing else, in any JSON", () => {
    const nested = fc.jsonValue({ maxDepth: 4 });
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), nested),
        fc.string({ minLength: 1 }),
        fc.string({ minLength: 1 }),
        fc.constantFrom(0, 2),
        (rest, before, after, indent) => {
          const body = { ...rest, model: before, nested: { model: "keep" }, last: ["model"] };
          const text = JSON.stringify(body, null, indent);
          const changed = replaceModel(text, after);
          expect(JSON.parse(changed)).toEqual({ ...JSON.parse(text), model: after });
        },
      ),
    );
  });

  test("replaces every repeated key, so that no parser reads another model than was routed", () => {
    expect(replaceModel('{"model":"a","x":1,"mod\\u0065l":"b"}', "c")).toBe(
      '{"model":"c","x":1,"mod\\u0065l":"c"}',
    );
  });
});
