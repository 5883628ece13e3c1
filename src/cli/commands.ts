import { benchCommand } from "./bench.ts";
import { completeCommand } from "./complete.ts";
import { completionCommand } from "./completion.ts";
import { configCheckCommand } from "./config/check.ts";
import { configCommand } from "./config/config.ts";
import { configDiffCommand } from "./config/diff.ts";
import { configInitCommand } from "./config/init.ts";
import { configSchemaCommand } from "./config/schema.ts";
import { configShowCommand } from "./config/show.ts";
import { connectCommand } from "./connect.ts";
import { doctorCommand } from "./doctor.ts";
import { drainCommand } from "./drain.ts";
import { eventsCommand } from "./events.ts";
import { explainCommand } from "./explain.ts";
import { fitCommand } from "./fit.ts";
import type { CliCommand } from "./frame/cli-command.ts";
import { gatewayCommand } from "./gateway.ts";
import { loadCommand } from "./load.ts";
import { logsCommand } from "./logs.ts";
import { modelsCommand } from "./models.ts";
import { neuronCommand } from "./neuron.ts";
import { neuronRpcCommand } from "./neuron-rpc.ts";
import { pinCommand, unpinCommand } from "./pin.ts";
import { planCommand } from "./plan.ts";
import { probeCommand } from "./probe.ts";
import { psCommand } from "./ps.ts";
import { pullCommand } from "./pull.ts";
import { rmCommand } from "./rm.ts";
import { runCommand } from "./run.ts";
import { schemaCommand } from "./schema.ts";
import { showCommand } from "./show.ts";
import { simulateCommand } from "./simulate.ts";
import { statusCommand } from "./status.ts";
import { topCommand } from "./top.ts";
import { undrainCommand } from "./undrain.ts";
import { unloadCommand } from "./unload.ts";
import { upCommand } from "./up.ts";
import { versionCommand } from "./version.ts";

const configCommands: readonly CliCommand[] = [
  configInitCommand,
  configCheckCommand,
  configShowCommand,
  configDiffCommand,
  configSchemaCommand,
];

/** Every command, hidden ones too, in the order of the overview. */
export const COMMANDS: readonly CliCommand[] = [
  upCommand,
  gatewayCommand,
  neuronCommand,
  neuronRpcCommand,
  statusCommand,
  psCommand,
  topCommand,
  modelsCommand,
  showCommand,
  runCommand,
  connectCommand,
  loadCommand,
  unloadCommand,
  pinCommand,
  unpinCommand,
  planCommand,
  explainCommand,
  eventsCommand,
  logsCommand,
  drainCommand,
  undrainCommand,
  benchCommand,
  simulateCommand,
  pullCommand,
  fitCommand,
  doctorCommand,
  rmCommand,
  ...configCommands,
  configCommand(configCommands),
  schemaCommand,
  versionCommand,
  completionCommand,
  completeCommand(() => COMMANDS),
  probeCommand,
];
