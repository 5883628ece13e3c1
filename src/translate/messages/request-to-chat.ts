import type { ChatMessage, ChatRequest, JsonObject } from "../chat/types.ts";
import { DroppedFields } from "../dropped-fields.ts";
import { checkBody, optionalBoolean, requireString } from "../request-fields.ts";
import { SafeNames } from "../safe-names.ts";
import type { ToChatConversion } from "./conversion.ts";
import { readOutputFormat } from "./output-format.ts";
import { MESSAGES_FIELDS } from "./request-schema.ts";
import { readSampling } from "./sampling.ts";
import { readSystem } from "./system.ts";
import { readThinking } from "./thinking.ts";
import { readToolChoice } from "./tool-choice.ts";
import { readTools } from "./tools.ts";
import { TurnsToChat } from "./turns-to-chat.ts";

/** What OpenAI takes of names and ids, in characters. */
const NAME_CHARACTERS_MAX = 64;
const ID_CHARACTERS_MAX = 40;

/** A messages request in the pivot. */
export interface MessagesAsChat {
  readonly chat: ChatRequest;
  readonly toolNames: SafeNames;
  readonly dropped: readonly string[];
}

/** Turns a messages request into the pivot. Throws CortexError `invalid_request` that names the field at fault. */
export function messagesToChat(body: JsonObject, to: "neuron" | "openai"): MessagesAsChat {
  checkBody(body);
  const dropped = new DroppedFields();
  dropped.addUnknown(body, { known: MESSAGES_FIELDS });
  const isNeuron = to === "neuron";
  const conversion: ToChatConversion = {
    to,
    dropped,
    toolNames: new SafeNames(isNeuron ? undefined : NAME_CHARACTERS_MAX),
    toolIds: new SafeNames(isNeuron ? undefined : ID_CHARACTERS_MAX),
  };
  const model = requireString(body["model"], "model");
  // Tools first: their names keep their form where a name of an earlier call would take it.
  const { tools, names } = readTools(body["tools"], conversion);
  const system = readSystem(body["system"], { param: "system", conversion });
  const turns = new TurnsToChat(conversion).read(body["messages"]);
  const first: readonly ChatMessage[] = system === "" ? [] : [{ role: "system", content: system }];
  const format = readOutputFormat(body, conversion);
  const isStreamed = optionalBoolean(body["stream"], "stream") === true;
  const options = isNeuron ? { include_usage: true, prompt_usage: true } : { include_usage: true };
  const chat: ChatRequest = {
    model,
    messages: [...first, ...turns],
    ...(isStreamed ? { stream: true, stream_options: options } : {}),
    ...readSampling(body, conversion),
    ...(tools.length === 0 ? {} : { tools }),
    ...readToolChoice(body["tool_choice"], { known: names, conversion }),
    ...(format === undefined ? {} : { response_format: format }),
    ...readThinking(body, conversion),
  };
  return { chat, toolNames: conversion.toolNames, dropped: dropped.toNames() };
}
