import { ANSWER_CASES } from "./cases/answer-cases.ts";
import { CANCEL_CASES } from "./cases/cancel-cases.ts";
import { CLIENT_CASES } from "./cases/client-cases.ts";
import { CONVERSATION_CASES } from "./cases/conversation-cases.ts";
import { ERROR_CASES } from "./cases/error-cases.ts";
import { HTTP_CASES } from "./cases/http-cases.ts";
import { LIMIT_CASES } from "./cases/limit-cases.ts";
import { MODEL_CASES } from "./cases/model-cases.ts";
import { STOP_CASES } from "./cases/stop-cases.ts";
import { STRUCTURED_CASES } from "./cases/structured-cases.ts";
import { TOOL_CASES } from "./cases/tool-cases.ts";
import type { ConformanceCase } from "./conformance-case.ts";

/** The whole set. */
export const ALL_CASES: readonly ConformanceCase[] = [
  ...ANSWER_CASES,
  ...STOP_CASES,
  ...TOOL_CASES,
  ...STRUCTURED_CASES,
  ...CONVERSATION_CASES,
  ...LIMIT_CASES,
  ...CLIENT_CASES,
  ...ERROR_CASES,
  ...HTTP_CASES,
  ...MODEL_CASES,
  ...CANCEL_CASES,
];
