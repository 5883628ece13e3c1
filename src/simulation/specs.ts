/** A device of a simulated host. */
export interface DeviceSpec {
  readonly totalBytes: number;
}

/** A model as one simulated neuron has it. */
export interface ModelSpec {
  readonly id: string;
  readonly aliases: readonly string[];
  /** Device memory that it takes beside its context. */
  readonly bytes: number;
  /** What its context takes on top with the slots and context below; other shapes take their part of it. */
  readonly contextBytes: number;
  readonly slots: number;
  /** Tokens per slot. */
  readonly context: number;
  readonly loadSeconds: number;
  readonly prefillTokensPerSecond: number;
  /** Of one stream alone. */
  readonly decodeTokensPerSecond: number;
  /** Whether it is there from the start. */
  readonly loaded: boolean;
  /** On which devices then; where there is room when absent. */
  readonly loadedOn?: readonly number[];
  readonly pinned: boolean;
}

/** A simulated host. */
export interface NeuronSpec {
  readonly name: string;
  readonly devices: readonly DeviceSpec[];
  readonly models: readonly ModelSpec[];
  /** Requests that may wait for one model. */
  readonly queueMax: number;
}

/** A piece of a prompt: equal keys mean equal text. A prompt that begins with the same pieces shares their cache. */
export interface PromptPiece {
  readonly key: string;
  readonly tokens: number;
}

/** What a simulated client wants. */
export interface Ask {
  /** Unique in its run. */
  readonly id: number;
  readonly model: string;
  readonly prompt: readonly PromptPiece[];
  /** Tokens of the answer; its key stands for its text in the prompts that follow. */
  readonly answer: PromptPiece;
  readonly stream: boolean;
  /** What the client calls its conversation; undefined when it does not say. */
  readonly session: string | undefined;
}

/** Tokens of a whole prompt. */
export function countTokens(prompt: readonly PromptPiece[]): number {
  let tokens = 0;
  for (const piece of prompt) tokens += piece.tokens;
  return tokens;
}

/** Tokens of the beginning that two prompts share. */
export function countShared(a: readonly PromptPiece[], b: readonly PromptPiece[]): number {
  let tokens = 0;
  for (const [index, piece] of a.entries()) {
    const other = b[index];
    if (other === undefined || other.key !== piece.key) break;
    const same = Math.min(other.tokens, piece.tokens);
    tokens += same;
    if (same < piece.tokens) break;
  }
  return tokens;
}
