import { completionCommand } from "./completion.ts";
import { drainCommand } from "./drain.ts";
import type { CliCommand } from "./frame/cli-command.ts";
import { gatewayCommand } from "./gateway.ts";
import { loadCommand } from "./load.ts";
import { modelsCommand } from "./models.ts";
import { neuronCommand } from "./neuron.ts";
import { neuronRpcCommand } from "./neuron-rpc.ts";
import { planCommand } from "./plan.ts";
import { probeCommand } from "./probe.ts";
import { pullCommand } from "./pull.ts";
import { simulateCommand } from "./simulate.ts";
import { statusCommand } from "./status.ts";
import { undrainCommand } from "./undrain.ts";
import { unloadCommand } from "./unload.ts";
import { upCommand } from "./up.ts";
import { versionCommand } from "./version.ts";

const named: readonly CliCommand[] = [
  upCommand,
  gatewayCommand,
  neuronCommand,
  neuronRpcCommand,
  statusCommand,
  modelsCommand,
  loadCommand,
  unloadCommand,
  planCommand,
  drainCommand,
  undrainCommand,
  simulateCommand,
  pullCommand,
  versionCommand,
  probeCommand,
];

/** Every command, hidden ones too, in the order of the overview. */
export const COMMANDS: readonly CliCommand[] = [...named, completionCommand(named)];
