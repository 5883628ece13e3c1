import type { Clock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import { SseReader } from "../../base/sse.ts";

/** Above the time that any daemon here takes to listen, device discovery included. */
const READY_MAX_MS = 60_000;
const POLL_MS = 100;
const PROMPT = "In one short sentence: what is a GPU?";
const TOKENS_MAX = 48;

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface Waiting {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly fetch?: Fetch;
}

/** A model that can chat, as the neuron describes it. */
export interface ChatModel {
  readonly id: string;
  readonly file_bytes: number;
}

/** Waits until GET /health of a daemon says that it is ok. Throws `timeout` after a minute. */
export async function waitForHealth(url: string, waiting: Waiting): Promise<void> {
  const { clock, signal, fetch: ask = fetch } = waiting;
  const deadlineMs = clock.monotonicMs() + READY_MAX_MS;
  let state = "gives no answer";
  for (;;) {
    signal.throwIfAborted();
    const call = AbortSignal.any([signal, AbortSignal.timeout(5000)]);
    const health = await ask(`${url}/health`, { signal: call })
      .then((response) => response.json() as Promise<{ readonly state?: string }>)
      .catch(() => undefined);
    if (health?.state === "ok") return;
    if (health !== undefined) state = `says ${health.state}`;
    if (clock.monotonicMs() > deadlineMs) {
      throw new CortexError("timeout", `${url} ${state}: waited ${READY_MAX_MS / 1000} s`, {
        hint: "cortex up --verbose",
      });
    }
    await clock.sleep(POLL_MS, signal);
  }
}

/** The model for the first request: the one asked for, else the smallest that can chat, since it loads soonest. */
export async function chooseModel(
  neuronUrl: string,
  options: Waiting & { readonly wanted?: string | undefined },
): Promise<string> {
  const { wanted, signal, fetch: ask = fetch } = options;
  const response = await ask(`${neuronUrl}/models`, { signal });
  const { models } = (await response.json()) as {
    readonly models: readonly (ChatModel & { readonly capabilities: readonly string[] })[];
  };
  const able = models
    .filter((model) => model.capabilities.includes("chat"))
    .sort((a, b) => a.file_bytes - b.file_bytes);
  const chosen = wanted === undefined ? able[0] : models.find((model) => model.id === wanted);
  if (chosen !== undefined) return chosen.id;
  const names = models.map((model) => model.id).join(", ");
  throw new CortexError(
    "model_not_found",
    `No model${wanted === undefined ? " that can chat" : ` ${wanted}`}: there is ${names || "none"}`,
    { hint: "cortex up --models-dir FOLDER" },
  );
}

export interface FirstAnswer {
  readonly text: string;
  readonly firstTokenMs: number;
}

/** Asks the gateway one streamed question, which loads the model, and hands on each piece of the answer. */
export async function askFirstQuestion(
  gatewayUrl: string,
  options: Waiting & { readonly model: string; readonly onText: (text: string) => void },
): Promise<FirstAnswer> {
  const { clock, signal, model, onText, fetch: ask = fetch } = options;
  const startedMs = clock.monotonicMs();
  const response = await ask(`${gatewayUrl}/v1/chat/completions`, {
    method: "POST",
    signal,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model,
      stream: true,
      max_tokens: TOKENS_MAX,
      temperature: 0,
      messages: [{ role: "user", content: PROMPT }],
    }),
  });
  if (!response.ok || response.body === null) {
    throw new CortexError(
      "load_failed",
      `The first request failed: ${await readMessage(response)}`,
      {
        hint: "cortex up --verbose",
      },
    );
  }
  const reader = new SseReader();
  let text = "";
  let firstTokenMs = 0;
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    for (const event of reader.push(piece)) {
      const delta = readDelta(event.data);
      if (delta === "") continue;
      if (text === "") firstTokenMs = clock.monotonicMs() - startedMs;
      text += delta;
      onText(delta);
    }
  }
  if (text === "") throw new CortexError("load_failed", "The first answer is empty");
  return { text, firstTokenMs };
}

async function readMessage(response: Response): Promise<string> {
  const text = await response.text();
  try {
    return (JSON.parse(text) as { readonly error: { readonly message: string } }).error.message;
  } catch {
    // Not our envelope: the text itself says more than nothing.
    return `${response.status} ${text.slice(0, 200)}`;
  }
}

function readDelta(data: string): string {
  if (data === "[DONE]") return "";
  const chunk = JSON.parse(data) as {
    readonly error?: { readonly message?: string };
    readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
  };
  if (chunk.error !== undefined) {
    throw new CortexError("load_failed", `The first answer failed: ${chunk.error.message}`);
  }
  return chunk.choices?.[0]?.delta?.content ?? "";
}
