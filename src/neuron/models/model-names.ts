import { baseNameOf, quantizationOf } from "../../hub/gguf-name.ts";

/** What a file's name says: the id that requests use, and other names for it. */
export interface ModelNames {
  readonly id: string;
  readonly aliases: readonly string[];
}

/** Names a model after its file; `name` is general.name of its metadata. The stem has no ".gguf" and no part number. */
export function nameModel(stem: string, name?: string): ModelNames {
  const quantization = quantizationOf(stem);
  const base = baseNameOf(stem);
  const id = quantization === undefined ? kebab(base) : `${kebab(base)}-${quantization}`;
  const aliases = new Set([kebab(base), stem]);
  if (name !== undefined && /^[\x21-\x7e][\x20-\x7e]{0,127}$/.test(name)) aliases.add(name);
  aliases.delete(id);
  return { id, aliases: [...aliases] };
}

function kebab(text: string): string {
  return text
    .replace(/[^a-z0-9._]+/g, "-")
    .replace(/-{2,}/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "");
}
