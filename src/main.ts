import { completionCommand } from "./cli/completion.ts";
import { drainCommand } from "./cli/drain.ts";
import { runProgram } from "./cli/frame/run-cli.ts";
import { gatewayCommand } from "./cli/gateway.ts";
import { loadCommand } from "./cli/load.ts";
import { modelsCommand } from "./cli/models.ts";
import { neuronCommand } from "./cli/neuron.ts";
import { neuronRpcCommand } from "./cli/neuron-rpc.ts";
import { planCommand } from "./cli/plan.ts";
import { probeCommand } from "./cli/probe.ts";
import { pullCommand } from "./cli/pull.ts";
import { simulateCommand } from "./cli/simulate.ts";
import { statusCommand } from "./cli/status.ts";
import { undrainCommand } from "./cli/undrain.ts";
import { unloadCommand } from "./cli/unload.ts";
import { upCommand } from "./cli/up.ts";
import { versionCommand } from "./cli/version.ts";

const commands = [
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

await runProgram([...commands, completionCommand(commands)]);
