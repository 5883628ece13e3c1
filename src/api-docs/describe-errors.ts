import type { ErrorCode } from "../base/errors.ts";
import type { ApiEnvelope } from "./api-route.ts";

/** What each code means to the one who asked, in the form of the messages that come with it. */
const MEANINGS: Readonly<Record<ErrorCode, string>> = {
  invalid_request: "'temperature' is 3, must be a number from 0 to 2",
  context_length_exceeded: "The prompt has 9000 tokens, the model's context 8192",
  unauthorized: "This neuron wants its bearer token",
  forbidden: "Routes that change state answer to this machine alone, not to 10.0.0.7",
  model_not_found: "Model 'qwen3-9b' does not exist; did you mean 'qwen3-8b'?",
  route_not_found: "No route GET /v1/chat",
  response_not_found: "Response with id 'resp_1' not found.",
  request_not_found: "Request 'req_1' is not known: this gateway remembers its last 1000 requests",
  method_not_allowed: "/v1/chat/completions takes POST, not GET",
  conflict: "Model 'qwen3-8b' is in use",
  request_timeout: "Request was not complete within 60 s",
  body_too_large: "Body has 70000000 bytes, at most 67108864 are allowed",
  queue_full: "64 requests wait already, at most 64 may",
  cancelled: "Request was cancelled",
  internal: "Internal error of the gateway; see its log",
  unsupported: "Model 'bge-m3' cannot do chat, only embeddings",
  neuron_failed: "Neuron 'gpu-1' closed the connection in the middle of the answer",
  unavailable: "No neuron that has model 'qwen3-8b' takes requests now",
  model_not_loaded: "Model 'qwen3-8b' is not loaded",
  model_poisoned: "Model 'qwen3-8b' is poisoned until its neuron starts anew",
  load_failed: "Cannot load model 'qwen3-8b': the file is damaged",
  timeout: "Neuron 'gpu-1' did not answer within 600 s",
  does_not_fit: "Cannot load model 'qwen3-8b': needs 18 GiB, device 0 has 11 GiB free",
  invalid_config: "The configuration is invalid",
  usage: "The command line is wrong",
};

/** The answers of a route that is refused: one for each status, with each of its codes as an example. */
export function describeErrors(
  codes: readonly ErrorCode[],
  { envelope, name }: { readonly envelope: ApiEnvelope; readonly name: string },
): Record<string, object> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const status = envelope.statusOf(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const sorted = [...byStatus].sort(([one], [other]) => one - other);
  return Object.fromEntries(
    sorted.map(([status, own]) => [
      String(status),
      {
        description: own.map((code) => `\`${code}\``).join(", "),
        content: {
          "application/json": {
            schema: { $ref: `#/components/schemas/${name}` },
            examples: Object.fromEntries(
              own.map((code) => [code, { value: envelope.toBody(code, MEANINGS[code]) }]),
            ),
          },
        },
      },
    ]),
  );
}
