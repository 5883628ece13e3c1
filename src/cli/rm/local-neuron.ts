import { describeError } from "../../base/errors.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import { type Model, ModelListSchema, UnloadResponseSchema } from "../../protocol/models.ts";
import { AdminClient } from "../client/admin-client.ts";
import { UnreachableError } from "../frame/exit-codes.ts";

/** A neuron on this host has better things to do than to be slow at this. */
const ASK_MS = 5_000;
/** Its requests get 30 s to end. */
const UNLOAD_MS = 90_000;

/** What this host's neuron says of a model. */
export type LocalUse =
  | { readonly kind: "known"; readonly model: Model | undefined }
  /** Nobody listens, or it does not tell. */
  | { readonly kind: "unknown"; readonly why: string };

/** The neuron that this host's neuron.toml describes, where it runs. */
export class LocalNeuron {
  readonly url: string;
  readonly #token: string | undefined;

  constructor(config: NeuronConfig, token: string | undefined) {
    this.url = `http://${config.neuron.listen.replace(/^(0\.0\.0\.0|\[::\])(?=:)/, "127.0.0.1")}`;
    this.#token = token;
  }

  /** How it has the model of that id and content loaded; never throws. */
  async findUse(id: string, digest: string): Promise<LocalUse> {
    try {
      const { models } = await this.#client(ASK_MS).get("/models", ModelListSchema);
      return {
        kind: "known",
        model: models.find((model) => model.id === id && model.digest === digest),
      };
    } catch (error) {
      const isAbsent = error instanceof UnreachableError;
      return { kind: "unknown", why: isAbsent ? "nothing listens there" : describeError(error) };
    }
  }

  /** Lets its requests end and frees its memory. @throws what the neuron answers, as an error of its own */
  async unload(id: string): Promise<void> {
    await this.#client(UNLOAD_MS).post("/models/unload", { model: id }, UnloadResponseSchema);
  }

  #client(timeoutMs: number): AdminClient {
    return new AdminClient({ url: this.url, timeoutMs, token: this.#token });
  }
}
