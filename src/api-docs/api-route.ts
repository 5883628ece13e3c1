import type { TSchema } from "@sinclair/typebox";
import type { ErrorCode } from "../base/errors.ts";

export type ApiMethod = "GET" | "POST" | "DELETE";

/** A parameter beside the body; those of the path are found in it. */
export interface ApiParameter {
  readonly name: string;
  readonly in: "query" | "header";
  readonly description: string;
  readonly schema: TSchema;
}

/** A request that a reader can send as it stands, and that a test does send. */
export interface ApiExample {
  /** Short, in the form of a name: letters, digits and hyphens. */
  readonly name: string;
  readonly summary: string;
  readonly body?: unknown;
  /** Values of the parameters in the path. */
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where it is refused: with which code. */
  readonly error?: ErrorCode;
}

/** One kind of event of a stream. */
export interface ApiEvent {
  /** Unique within the route. */
  readonly name: string;
  /** Its `event:` line; missing where events have none. */
  readonly event?: string;
  readonly description: string;
  /** Of its data. */
  readonly schema: TSchema;
  /** Its data: JSON, or text that is none. */
  readonly example: unknown;
}

/** An answer of another status than the ordinary one. */
export interface ApiAnswer {
  readonly status: number;
  readonly description: string;
  readonly schema?: TSchema;
}

/** What there is to say of a route beside how it is asked for. */
export interface ApiFacts {
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly ApiParameter[];
  readonly body?: TSchema;
  /** Of the ordinary answer; text, a page or a file have none. */
  readonly answer?: TSchema;
  /** The ordinary answer's status. Default 200. */
  readonly status?: number;
  /** Of the ordinary answer. Default application/json, or none where every answer is a stream. */
  readonly contentType?: string;
  readonly others?: readonly ApiAnswer[];
  /** The kinds of events of its stream. */
  readonly events?: readonly ApiEvent[];
  /** What it may be refused with. */
  readonly errors?: readonly ErrorCode[];
  readonly examples?: readonly ApiExample[];
  /** Served without a token where the rest wants one. */
  readonly isOpen?: boolean;
}

/** A route as it is served and described. */
export interface ApiRoute extends ApiFacts {
  readonly method: ApiMethod;
  /** With parameters as {name}. */
  readonly path: string;
  /** In whose words errors are told; a name of {@link ApiDescription.envelopes}. */
  readonly envelope: string;
  /** Where it is served when not with the others. */
  readonly server?: string;
}

/** How a dialect tells an error. */
export interface ApiEnvelope {
  readonly schema: TSchema;
  statusOf(code: ErrorCode): number;
  toBody(code: ErrorCode, message: string): object;
}

/** A whole API. */
export interface ApiDescription {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  /** What each tag holds, in the order in which they are shown. */
  readonly tags: Readonly<Record<string, string>>;
  readonly routes: readonly ApiRoute[];
  readonly envelopes: Readonly<Record<string, ApiEnvelope>>;
  /** Schemas that get a name of their own wherever they stand. */
  readonly schemas: Readonly<Record<string, TSchema>>;
  /** Whether a bearer token may be asked for. */
  readonly takesToken: boolean;
}
