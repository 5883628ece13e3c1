import { CortexError } from "../../base/errors.ts";
import { TopLevelMembers } from "./top-level-members.ts";

/** What routing needs of a request's body. */
export interface RoutingFields {
  readonly model: string;
  readonly stream: boolean;
  /** Estimated: about four bytes of JSON for a token. */
  readonly promptTokens: number;
}

const BYTES_PER_TOKEN = 4;
/** As in the protocol's schemas. */
const MODEL_CHARACTERS_MAX = 256;

/** Reads the routing fields, or throws `invalid_request` in words that name the field. */
export function readRoutingFields(body: Buffer): RoutingFields {
  let model: unknown;
  let stream: unknown;
  const members = new TopLevelMembers(body);
  while (members.next()) {
    if (members.is("model")) model = members.value();
    else if (members.is("stream")) stream = members.value();
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
  return { model, stream: stream === true, promptTokens: body.length / BYTES_PER_TOKEN };
}

/** Says what is wrong with a body that is no JSON object. */
function refuseBody(body: Buffer): never {
  try {
    JSON.parse(body.toString("utf8"));
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
export function replaceModel(body: Buffer, model: string): Buffer {
  const name = Buffer.from(JSON.stringify(model));
  const pieces: Buffer[] = [];
  let copied = 0;
  const members = new TopLevelMembers(body);
  while (members.next()) {
    if (!members.is("model")) continue;
    pieces.push(body.subarray(copied, members.valueFrom), name);
    copied = members.valueTo;
  }
  return Buffer.concat([...pieces, body.subarray(copied)]);
}
