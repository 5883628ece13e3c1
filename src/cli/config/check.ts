import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CortexError } from "../../base/errors.ts";
import { CONFIG_KIND_NAMES, type ConfigKind } from "../../config/config-kind-names.ts";
import { defineCliCommand } from "../frame/cli-command.ts";
import { EXIT } from "../frame/exit-codes.ts";
import { printAnswer } from "../frame/print-answer.ts";
import { kindFlag } from "./kind-flag.ts";

/** `cortex config check`: every error of one file or of all of them at once. */
export const configCheckCommand = defineCliCommand({
  name: "config check",
  summary: "Check configuration files and name every error with its line",
  details: [
    "Without FILE: what there is in /etc/cortex. A cortex.toml is checked together with the models.toml beside it,\n" +
      "and with the variables that win over it, such as CORTEX_GATEWAY__LISTEN.",
  ],
  args: {
    file: { type: "positional", required: false, description: "file to check" },
    ...kindFlag,
    secrets: {
      type: "boolean",
      default: true,
      description: "look for tokens and keys, too; --no-secrets where only the daemon has them",
    },
    json: { type: "boolean", description: "print errors and warnings as JSON" },
  },
  examples: ["config check", "config check ./cortex.toml --no-secrets"],
  exits: ["failed", "usage"],
  run: async (args) => {
    const targets = await listTargets(args);
    const results: CheckedFile[] = [];
    for (const target of targets) {
      results.push(await checkFile(target, { withSecrets: args.secrets }));
    }
    if (args.json === true) {
      const files = results.map(({ kind, file, errors, warnings }) => ({
        ...{ kind, file: file ?? null, errors: [...errors], warnings: [...warnings] },
      }));
      printAnswer("config check", { json: true }, { data: { files }, text: "" });
      return results.some(({ error }) => error !== undefined) ? EXIT.usage : EXIT.ok;
    }
    const { joinConfigErrors } = await import("../../config/load-gateway-files.ts");
    for (const { warnings, ...result } of results) {
      for (const warning of warnings) process.stderr.write(`Warning: ${warning}\n`);
      if (result.error !== undefined) continue;
      process.stdout.write(`${result.file ?? "The built-in defaults"}: no errors\n`);
    }
    const errors = results.map(({ error }) => error).filter((error) => error !== undefined);
    if (errors.length > 0) throw joinConfigErrors(errors);
    return EXIT.ok;
  },
});

interface Target {
  readonly kind: ConfigKind;
  readonly file: string | undefined;
}

interface CheckedFile extends Target {
  readonly error: CortexError | undefined;
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** A gateway's file comes with the profiles beside it. */
async function listTargets(args: {
  readonly file?: string | undefined;
  readonly kind?: ConfigKind | undefined;
}): Promise<readonly Target[]> {
  const { findConfigKind } = await import("../../config/load-config.ts");
  const { CONFIG_FOLDER } = await import("../../config/config-file.ts");
  const { CONFIG_KINDS } = await import("../../config/config-kinds.ts");
  const { file } = args;
  if (file !== undefined) {
    const kind = args.kind ?? (await findConfigKind(file));
    const models = join(dirname(file), CONFIG_KINDS.models.fileName);
    const hasModels = kind === "gateway" && (await exists(models));
    return [{ kind, file }, ...(hasModels ? [{ kind: "models", file: models } as const] : [])];
  }
  const kinds = args.kind === undefined ? CONFIG_KIND_NAMES : [args.kind];
  const found: Target[] = [];
  for (const kind of kinds) {
    const installed = join(CONFIG_FOLDER, CONFIG_KINDS[kind].fileName);
    if (await exists(installed)) found.push({ kind, file: installed });
  }
  // Without any file, the variables remain to be checked.
  return found.length > 0 ? found : [{ kind: args.kind ?? "gateway", file: undefined }];
}

async function checkFile(
  target: Target,
  options: { readonly withSecrets: boolean },
): Promise<CheckedFile> {
  const { loadConfig } = await import("../../config/load-config.ts");
  const { listConfigErrors } = await import("../../config/load-gateway-files.ts");
  const { listSecretWarnings } = await import("../../config/secret.ts");
  const none = { error: undefined, errors: [], warnings: [] };
  try {
    const loaded = await loadConfig(target.kind, { ...options, file: target.file });
    const warnings = options.withSecrets ? listSecretWarnings(loaded.config) : [];
    return { ...target, ...none, file: loaded.file, warnings };
  } catch (thrown) {
    if (!(thrown instanceof CortexError) || thrown.code !== "invalid_config") throw thrown;
    return { ...target, ...none, error: thrown, errors: listConfigErrors(thrown) };
  }
}

async function exists(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true;
}
