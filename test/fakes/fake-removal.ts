import type { NeuronEvent } from "../../src/protocol/events.ts";
import type { Model } from "../../src/protocol/models.ts";
import type { Removal } from "../../src/protocol/removals.ts";

/** DELETE /models/{id} as a neuron answers it that lets callers remove what was pulled. */
export function answerRemoval(
  address: string,
  neuron: {
    readonly models: Map<string, Model>;
    emit(event: NeuronEvent): void;
  },
): Response {
  const { pathname, searchParams } = new URL(address);
  const id = decodeURIComponent(pathname.slice("/models/".length));
  const model = neuron.models.get(id);
  if (model === undefined)
    return refuse(404, "model_not_found", `Model '${id}' does not exist here`);
  const isLoaded = model.state === "ready";
  if (isLoaded && searchParams.get("force") !== "true") {
    return refuse(409, "conflict", `Model '${id}' is ready; force unloads it first`);
  }
  if (searchParams.get("dry_run") !== "true") {
    neuron.models.delete(id);
    neuron.emit({ type: "model_gone", id });
  }
  const bytes = model.file_bytes;
  const removal: Removal = {
    ...{ model: id, source: `hf:fake/${id}`, unloaded: isLoaded, kept: [], freed_bytes: bytes },
    files: [{ path: `fake/${id}/${id}.gguf`, bytes }],
  };
  return Response.json(removal);
}

function refuse(status: number, code: string, message: string): Response {
  return Response.json({ error: { message, code } }, { status });
}
