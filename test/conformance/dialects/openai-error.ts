import { expectJson, expectObject, expectString, expectThat, show } from "../expectations.ts";
import type { Answer } from "../target.ts";

/** Reads OpenAI's envelope, which chat, completions and Responses share. */
export function readOpenaiError(answer: Answer): {
  readonly type: string;
  readonly code: string;
  readonly message: string;
} {
  const body = expectObject(expectJson(answer.text, "An error's body"), "An error's body");
  expectThat(
    !("choices" in body) && !("output" in body),
    `An error beside an answer: ${show(body)}`,
  );
  const error = expectObject(body["error"], `error in ${show(body)}`);
  const message = expectString(error["message"], "error.message");
  expectThat(message.length > 0, "error.message is empty");
  const { type, code } = error;
  return { type: expectString(type, "error.type"), code: String(code ?? ""), message };
}
