import { CortexError, describeError } from "../../base/errors.ts";
import { readText } from "./read-text.ts";

/** Members in which clients send a prompt. */
const PROMPTS = ["messages", "input", "prompt"];

/**
 * A question about the prompt in a file, as JSON: the body of a client's request byte for byte, for prompts are
 * compared so, with the members behind it, which are the ones that count; or a text, which becomes a user's message.
 * `-` is standard input. Throws `usage` for a file that holds neither.
 */
export async function readPromptFile(
  path: string,
  members: Readonly<Record<string, unknown>>,
): Promise<string> {
  const name = path === "-" ? "standard input" : path;
  const text = await readText(path);
  const trimmed = text.trim();
  if (trimmed === "") throw new CortexError("usage", `No prompt: ${name} is empty`);
  const body = parseBody(trimmed, { name, mustBeJson: /\.json$/i.test(path) });
  const own = JSON.stringify(members);
  if (body === undefined) {
    return JSON.stringify({ messages: [{ role: "user", content: text }], ...members });
  }
  if (!PROMPTS.some((member) => body[member] !== undefined)) {
    throw new CortexError("usage", `No prompt: ${name} has none of ${PROMPTS.join(", ")}`, {
      hint: "the body of a request as a client sends it, or a file that is no JSON",
    });
  }
  return `${trimmed.slice(0, -1)},${own.slice(1)}`;
}

/** Undefined where the file is a text. */
function parseBody(
  text: string,
  { name, mustBeJson }: { readonly name: string; readonly mustBeJson: boolean },
): Readonly<Record<string, unknown>> | undefined {
  if (!text.startsWith("{")) {
    if (mustBeJson) throw new CortexError("usage", `Cannot read ${name}: it is no JSON object`);
    return undefined;
  }
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    // Many a text begins with a brace.
    if (!mustBeJson) return undefined;
    throw new CortexError("usage", `Cannot read ${name}: ${describeError(cause)}`, { cause });
  }
}
