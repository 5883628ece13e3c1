import { CortexError } from "../base/errors.ts";
import { ChatChunkReader } from "./chat/chat-stream-reader.ts";
import { ChatChunkWriter } from "./chat/chat-stream-writer.ts";
import { toNeuronRequest } from "./chat/neuron-request.ts";
import { stripExtensions, toOpenAiRequest } from "./chat/openai-request.ts";
import { readCompletion } from "./chat/read-completion.ts";
import type { ChatCompletion, JsonObject } from "./chat/types.ts";
import type {
  AnswerTranslator,
  ChatStreamReader,
  Translation,
  TranslationContext,
  TranslationRequest,
} from "./dialects.ts";
import { DroppedFields } from "./dropped-fields.ts";
import { toMessagesAnswer } from "./messages/answer-from-chat.ts";
import { messagesAnswerToChat } from "./messages/answer-to-chat.ts";
import { countedTokens } from "./messages/counted-tokens.ts";
import { messagesFromChat } from "./messages/request-from-chat.ts";
import { messagesToChat } from "./messages/request-to-chat.ts";
import { stripUnsignedThinking } from "./messages/signed-thinking.ts";
import { MessagesStreamWriter } from "./messages/stream-from-chat.ts";
import { type MessagesReaderOptions, MessagesStreamReader } from "./messages/stream-to-chat.ts";
import { isJsonObject } from "./request-fields.ts";
import { fromChatCompletion } from "./responses/answer-from-chat.ts";
import { type ResponsesRequest, toChatRequest } from "./responses/request-to-chat.ts";
import { ResponsesStreamWriter } from "./responses/stream-from-chat.ts";
import { JoinedStream, type StreamWriter } from "./stream/joined-stream.ts";

const CHAT_PATH = "/v1/chat/completions";
const MESSAGES_PATH = "/v1/messages";
const COUNT_PATH = "/v1/count_tokens";

/**
 * What a request has to go through on its way to an upstream, and its answer on the way back. Undefined where both
 * sides speak the same and the bytes go on as they came. Throws CortexError `invalid_request` that names the field at
 * fault, and `unsupported` where the upstream has nothing of the kind.
 */
export function translateRequest(request: TranslationRequest): Translation | undefined {
  if (request.endpoint === "count_tokens") return translateCount(request);
  switch (request.from) {
    case "chat":
      return translateChat(request);
    case "messages":
      return translateMessages(request);
    case "responses":
      return translateResponses(request);
  }
}

function translateCount({ from, to, body }: TranslationRequest): Translation | undefined {
  if (to === "openai") {
    throw new CortexError("unsupported", "This model's server does not count tokens");
  }
  if (from === "chat" && to === "neuron") return undefined;
  if (from === "messages" && to === "anthropic") {
    return passOn(stripUnsignedThinking(body), `${MESSAGES_PATH}/count_tokens`);
  }
  if (from !== "messages" || to !== "neuron") {
    throw new CortexError("unsupported", "Tokens are counted of messages alone");
  }
  const { chat, dropped } = messagesToChat(body, to);
  const { stream: _stream, stream_options: _options, ...counted } = chat;
  return {
    path: COUNT_PATH,
    body: { ...counted },
    answer: { whole: countedTokens, openStream: refuseStream },
    dropped,
  };
}

function refuseStream(): never {
  throw new CortexError("neuron_failed", "Upstream streams a count of tokens");
}

function translateChat(request: TranslationRequest): Translation | undefined {
  const { to, body, context } = request;
  if (to === "neuron") return undefined;
  if (to === "openai") return passOn(stripExtensions(body), CHAT_PATH);
  const { body: messages, toolNames, answerTool, dropped } = messagesFromChat(body, context);
  const options = body["stream_options"];
  const includesUsage = isJsonObject(options) && options["include_usage"] === true;
  const { requestId, model } = context;
  const answer = joinAnthropic(
    { context, toolNames, answerTool },
    {
      whole: (completion) => ({ ...completion }),
      openWriter: () => new ChatChunkWriter({ requestId, model, includesUsage }),
    },
  );
  return { path: MESSAGES_PATH, body: messages, answer, dropped };
}

/** Only the request changed. */
function passOn(body: JsonObject | undefined, path: string): Translation | undefined {
  return body === undefined ? undefined : { path, body, answer: undefined, dropped: [] };
}

function translateMessages(request: TranslationRequest): Translation | undefined {
  const { to, body, context } = request;
  if (to === "anthropic") return passOn(stripUnsignedThinking(body), MESSAGES_PATH);
  const { chat, toolNames, dropped } = messagesToChat(body, to);
  const options = { context, toolNames };
  const answer: AnswerTranslator = {
    whole: (answered) => ({ ...toMessagesAnswer(answered, options) }),
    openStream: () => new JoinedStream(new ChatChunkReader(), new MessagesStreamWriter(options)),
  };
  return { path: CHAT_PATH, body: { ...chat }, answer, dropped };
}

function translateResponses({ to, body, context, earlier }: TranslationRequest): Translation {
  const read = toChatRequest(body, earlier);
  const client = responsesClient(read, context);
  const stored = read.stored === undefined ? {} : { stored: read.stored };
  const dropped = new DroppedFields();
  for (const name of read.dropped) dropped.add(name);
  if (to === "anthropic") {
    const chat: JsonObject = { ...read.chat };
    const translated = messagesFromChat(chat, context);
    const { body: messages, toolNames, answerTool } = translated;
    const answer = joinAnthropic({ context, toolNames, answerTool }, client);
    for (const name of translated.dropped) dropped.add(name);
    return { path: MESSAGES_PATH, body: messages, answer, dropped: dropped.toNames(), ...stored };
  }
  const sent = to === "neuron" ? toNeuronRequest(read.chat) : toOpenAiRequest(read.chat, dropped);
  const answer: AnswerTranslator = {
    whole: (answered) => client.whole(readCompletion(answered)),
    openStream: () => new JoinedStream(new ChatChunkReader(), client.openWriter()),
  };
  return { path: CHAT_PATH, body: sent, answer, dropped: dropped.toNames(), ...stored };
}

/** The client's half of an answer. */
interface ClientSide {
  readonly whole: (completion: ChatCompletion) => JsonObject;
  readonly openWriter: () => StreamWriter;
}

function responsesClient(read: ResponsesRequest, context: TranslationContext): ClientSide {
  const options = { settings: read.answer, context };
  return {
    whole: (completion) => fromChatCompletion(completion, options),
    openWriter: () => new ResponsesStreamWriter(options),
  };
}

function joinAnthropic(options: MessagesReaderOptions, client: ClientSide): AnswerTranslator {
  const openReader = (): ChatStreamReader => new MessagesStreamReader(options);
  return {
    whole: (answered) => client.whole(messagesAnswerToChat(answered, options)),
    openStream: () => new JoinedStream(openReader(), client.openWriter()),
  };
}
