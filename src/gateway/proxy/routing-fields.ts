import { ByteSpan, joinSpans } from "../../base/byte-span.ts";
import { CortexError } from "../../base/errors.ts";
import { MODEL_CHARACTERS_MAX } from "../../protocol/openai/request-schema.ts";
import { BODY_PARTS, type BodyParts, NULL_BYTE } from "../prefix/body-parts.ts";
import { TopLevelMembers } from "./top-level-members.ts";

/** What routing needs of a request's body. */
export interface RoutingFields {
  readonly model: string;
  readonly stream: boolean;
  /** Estimated: about four bytes of JSON for a token. */
  readonly promptTokens: number;
  /** Where its prompt is, and whose it is. */
  readonly parts: BodyParts;
}

const BYTES_PER_TOKEN = 4;

/** Reads the routing fields, or throws `invalid_request` in words that name the field. */
export function readRoutingFields(body: ByteSpan): RoutingFields {
  let model: unknown;
  let stream: unknown;
  const parts: { -readonly [name in keyof BodyParts]: BodyParts[name] } = {};
  const members = new TopLevelMembers(body);
  while (members.next()) {
    if (members.is("model")) model = members.value();
    else if (members.is("stream")) stream = members.value();
    else {
      const name = members.find(BODY_PARTS);
      if (name === undefined || body.bytes[members.valueFrom] === NULL_BYTE) continue;
      parts[name] = { from: members.valueFrom, to: members.valueTo };
    }
  }
  if (!members.whole) refuseBody(body);
  if (model === undefined) {
    throw new CortexError("invalid_request", "Field 'model' is missing", { param: "model" });
  }
  if (typeof model !== "string" || model === "" || model.length > MODEL_CHARACTERS_MAX) {
    throw new CortexError(
      "invalid_request",
      `Field 'model' must be a string of 1 to ${MODEL_CHARACTERS_MAX} characters`,
      { param: "model" },
    );
  }
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    throw new CortexError("invalid_request", "Field 'stream' must be true or false", {
      param: "stream",
    });
  }
  return { model, stream: stream === true, promptTokens: body.length / BYTES_PER_TOKEN, parts };
}

/** Says what is wrong with a body that is no JSON object. */
function refuseBody(body: ByteSpan): never {
  try {
    JSON.parse(body.toString());
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CortexError("invalid_request", `Body is not valid JSON: ${why}`, { cause });
  }
  throw new CortexError("invalid_request", "Body must be a JSON object");
}

/**
 * The same body with another model name and every other byte as it was: parsing and printing anew would change
 * numbers. A repeated key is replaced each time, so that no parser reads another model than was routed.
 */
export function replaceModel(body: ByteSpan, model: string): ByteSpan {
  const name = new ByteSpan(Buffer.from(JSON.stringify(model)));
  const { bytes } = body;
  const pieces: ByteSpan[] = [];
  let copied = body.from;
  const members = new TopLevelMembers(body);
  while (members.next()) {
    if (!members.is("model")) continue;
    pieces.push(new ByteSpan(bytes, copied, members.valueFrom), name);
    copied = members.valueTo;
  }
  return joinSpans([...pieces, new ByteSpan(bytes, copied, body.to)]);
}
