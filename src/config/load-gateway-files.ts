import { join } from "node:path";
import { CortexError } from "../base/errors.ts";
import { CONFIG_FOLDER, type LoadConfigOptions } from "./config-file.ts";
import { type LoadedGatewayConfig, loadGatewayConfig } from "./load-gateway-config.ts";
import { type LoadedModelProfiles, loadModelProfiles } from "./load-model-profiles.ts";

export interface LoadGatewayFilesOptions extends LoadConfigOptions {
  /** The models.toml to read, in place of the one beside cortex.toml. */
  readonly models?: string | undefined;
}

export interface LoadedGatewayFiles {
  readonly gateway: LoadedGatewayConfig;
  readonly models: LoadedModelProfiles;
  /** The files that were read. */
  readonly files: readonly string[];
}

/** Reads cortex.toml and models.toml as a gateway does. Throws one `invalid_config` with the errors of both. */
export async function loadGatewayFiles(
  options: LoadGatewayFilesOptions = {},
): Promise<LoadedGatewayFiles> {
  let gateway: LoadedGatewayConfig;
  try {
    gateway = await loadGatewayConfig(options);
  } catch (thrown) {
    throw await withModelErrors(thrown, options);
  }
  const neuronNames = gateway.config.neurons.map(({ name }) => name);
  const models = await loadModelProfiles({
    file: options.models,
    configFile: gateway.file,
    neuronNames,
  });
  const files = [gateway.file, models.file].filter((file) => file !== undefined);
  return { gateway, models, files };
}

/** Somebody who corrects one file should hear of the other at once; its neurons are not known then. */
async function withModelErrors(
  thrown: unknown,
  options: LoadGatewayFilesOptions,
): Promise<unknown> {
  const configFile = options.file ?? join(options.folder ?? CONFIG_FOLDER, "cortex.toml");
  try {
    await loadModelProfiles({ file: options.models, configFile, neuronNames: undefined });
    return thrown;
  } catch (second) {
    return joinConfigErrors([thrown, second]);
  }
}

/** Several errors of files as one; what is no `invalid_config` goes on alone. */
export function joinConfigErrors(errors: readonly unknown[]): unknown {
  const other = errors.find((error) => !isConfigError(error));
  if (other !== undefined || errors.length === 1) return other ?? errors[0];
  const all = errors.filter(isConfigError);
  // The cause says why a file cannot be read; only a message goes on here.
  const texts = all.map((error) =>
    error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message,
  );
  return new CortexError("invalid_config", texts.join("\n"), {
    figures: { errors: all.flatMap(listConfigErrors) },
  });
}

/** The errors of an `invalid_config`, each as one line. */
export function listConfigErrors(error: CortexError): readonly string[] {
  const listed = error.figures?.["errors"];
  if (Array.isArray(listed)) return listed.map(String);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return [`${error.message}${cause}`];
}

function isConfigError(error: unknown): error is CortexError {
  return error instanceof CortexError && error.code === "invalid_config";
}
