import type { Target } from "./target.ts";

/** Under which heading a case counts; "http" is what holds for every dialect. */
export type CaseDialect = "chat" | "completions" | "messages" | "responses" | "http";

/** What a case is about; `--only` takes one. */
export type CaseTopic =
  | "answers"
  | "cancel"
  | "clients"
  | "conversation"
  | "errors"
  | "http"
  | "limits"
  | "models"
  | "stops"
  | "streams"
  | "structured"
  | "tools"
  | "usage";

/** One thing that a server has to do, told by requests over plain HTTP. */
export interface ConformanceCase {
  /** A sentence about the server. */
  readonly name: string;
  readonly topic: CaseTopic;
  readonly dialect: CaseDialect;
  /** True for what other requests at the same time would disturb. */
  readonly isAlone?: boolean;
  /** Throws what is wrong, with what came. */
  run(target: Target): Promise<void>;
}
