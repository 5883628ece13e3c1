import { CortexError } from "../../base/errors.ts";
import type { GatewayConfig } from "../../config/gateway-schema.ts";
import { loadGatewayFiles } from "../../config/load-gateway-files.ts";
import { loadNeuronConfig } from "../../config/load-neuron-config.ts";
import type { NeuronConfig } from "../../config/neuron-schema.ts";
import { type Finding, fine, problem, quoteWord, skipped } from "./finding.ts";

/** What this host is configured to be, as far as the files can be read. */
export interface CheckedConfig {
  readonly gateway: GatewayConfig | undefined;
  /** The defaults where no file is. */
  readonly neuron: NeuronConfig | undefined;
  readonly findings: readonly Finding[];
}

const GATEWAY_CHECK = "gateway's configuration";
const NEURON_CHECK = "neuron's configuration";

/** Reads both files as the daemons do, but for secrets that may be theirs alone. */
export async function checkConfigs(options: {
  readonly gatewayFile: string | undefined;
  readonly neuronFile: string | undefined;
}): Promise<CheckedConfig> {
  const { gatewayFile, neuronFile } = options;
  const findings: Finding[] = [];
  let gateway: GatewayConfig | undefined;
  let neuron: NeuronConfig | undefined;
  try {
    const { gateway: loaded, files } = await loadGatewayFiles({
      ...{ file: gatewayFile, withSecrets: false },
    });
    const isThere = loaded.file !== undefined;
    gateway = isThere ? loaded.config : undefined;
    findings.push(
      isThere
        ? fine(GATEWAY_CHECK, `${files.join(" and ")}: no errors`)
        : skipped(GATEWAY_CHECK, "/etc/cortex/cortex.toml is not there: no gateway is set up here"),
    );
  } catch (error) {
    findings.push(describe(GATEWAY_CHECK, error, gatewayFile ?? "/etc/cortex/cortex.toml"));
  }
  try {
    const loaded = await loadNeuronConfig({ file: neuronFile, withSecrets: false });
    neuron = loaded.config;
    findings.push(fine(NEURON_CHECK, `${loaded.file ?? "The built-in defaults"}: no errors`));
  } catch (error) {
    findings.push(describe(NEURON_CHECK, error, neuronFile ?? "/etc/cortex/neuron.toml"));
  }
  return { gateway, neuron, findings };
}

function describe(check: string, error: unknown, file: string): Finding {
  if (!(error instanceof CortexError)) throw error;
  const [first = "", ...more] = error.message.split("\n");
  const rest = more.length === 0 ? "" : ` (${more.length} more lines)`;
  return problem(check, `${first}${rest}`, `cortex config check ${quoteWord(file)}`);
}
