import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { SseReader } from "../../../src/base/sse.ts";
import type { JsonObject } from "../../../src/translate/chat/types.ts";
import { toChatRequest } from "../../../src/translate/responses/request-to-chat.ts";
import { type Answer, cutBy, openWriter, toChunks, toResponse, toStream } from "./chat-answers.ts";

const FOLDER = join(import.meta.dir, "../../golden/responses");
const CASES = readdirSync(FOLDER).sort();

const ANSWERED = CASES.filter((name) => readdirSync(join(FOLDER, name)).includes("answer.json"));

async function read(name: string, file: string): Promise<JsonObject> {
  return (await Bun.file(join(FOLDER, name, file)).json()) as JsonObject;
}

/**
 * Cases are folders: request.json becomes chat.json; answer.json becomes response.json and, in pieces of 6 characters,
 * stream.txt. Those named codex-… are what that client sent, with long texts shortened.
 */
describe("golden cases of the Responses dialect", () => {
  test.each(CASES)("%s gives the request that is written down", async (name) => {
    const { chat, dropped } = toChatRequest(await read(name, "request.json"));
    expect({ chat, dropped }).toEqual((await read(name, "chat.json")) as never);
  });

  test.each(ANSWERED)("%s gives the answer and the stream that are written down", async (name) => {
    const request = toChatRequest(await read(name, "request.json"));
    const answer = (await read(name, "answer.json")) as unknown as Answer;
    expect(toResponse(answer, request)).toEqual(await read(name, "response.json"));
    const stream = toStream(toChunks(answer, { cut: cutBy([6]) }), openWriter(request));
    expect(stream).toBe(await Bun.file(join(FOLDER, name, "stream.txt")).text());
    const last = new SseReader().push(stream).at(-1);
    expect((JSON.parse(last?.data ?? "{}") as JsonObject)["response"]).toEqual(
      await read(name, "response.json"),
    );
  });
});
