import type { TSchema } from "@sinclair/typebox";
import { DeviceSchema } from "../protocol/health.ts";
import { BytesSchema, DeviceFitSchema } from "../protocol/models.ts";
import {
  ChatChunkSchema,
  ChatCompletionSchema,
  UsageSchema,
} from "../protocol/openai/chat-answers.ts";
import {
  ChatRequestSchema,
  MessageSchema,
  ResponseFormatSchema,
  ToolSchema,
} from "../protocol/openai/chat-fields.ts";
import { ModelNameSchema } from "../protocol/openai/request-schema.ts";
import { CompletionSchema } from "../protocol/openai/text-answers.ts";
import { CompletionRequestSchema, PromptSchema } from "../protocol/openai/text-fields.ts";

/** Schemas that both roles' documents name. */
export const NAMED_SCHEMAS: Readonly<Record<string, TSchema>> = {
  Bytes: BytesSchema,
  ChatChunk: ChatChunkSchema,
  ChatCompletion: ChatCompletionSchema,
  ChatRequest: ChatRequestSchema,
  Completion: CompletionSchema,
  CompletionRequest: CompletionRequestSchema,
  Device: DeviceSchema,
  DeviceFit: DeviceFitSchema,
  Message: MessageSchema,
  ModelName: ModelNameSchema,
  Prompt: PromptSchema,
  ResponseFormat: ResponseFormatSchema,
  Tool: ToolSchema,
  Usage: UsageSchema,
};
