import { DEFAULT_MODELS_DIR, ensureDefaultModel } from "../src/cli/up/default-model.ts";

/** The default model's path, fetched where it is missing; says on standard error what it does. */
export function getModel(folder = DEFAULT_MODELS_DIR): Promise<string> {
  return ensureDefaultModel(folder, { tell: (line) => process.stderr.write(`${line}\n`) });
}

if (import.meta.main) process.stdout.write(`${await getModel(process.argv[2])}\n`);
