import {
  flavourFile,
  LIBRARY_FOLDER,
  listGatewayFiles,
  listNeuronFiles,
  type PayloadSource,
} from "./payload.ts";
import { type PackagePlan, RELEASE } from "./rpm-spec.ts";
import { formatScriptlets } from "./scriptlets.ts";

/** What a host's neuron runs on. */
export const FLAVOURS = ["cpu", "ampere", "ada", "blackwell"] as const;
export type Flavour = (typeof FLAVOURS)[number];

const DEVICES: Readonly<Record<Flavour, string>> = {
  cpu: "x86-64-v3 CPUs",
  ampere: "NVIDIA GPUs of compute capability 8.6 (Ampere)",
  ada: "NVIDIA GPUs of compute capability 8.9 (Ada)",
  blackwell: "NVIDIA GPUs of compute capability 12.0 (Blackwell)",
};

/** Lines as rpm shows them: of at most 79 characters. */
const ABOUT = `cortex is one endpoint in front of every machine with devices that a team owns.
Clients send their requests to its gateway as they would to OpenAI or
Anthropic; it sends each to a neuron that has the model, or has it loaded where
it fits.
`;

/** The package with the executable. */
export async function planGatewayPackage(
  source: PayloadSource,
  executable: string,
): Promise<PackagePlan> {
  return {
    name: "cortex",
    summary: "Gateway of a fleet of inference machines, and its command line",
    description: `${ABOUT}\nThis package holds the program: gateway, neuron and command line in one.`,
    provides: [],
    conflicts: [],
    requires: [],
    files: await listGatewayFiles(source, executable),
    folders: [
      "/etc/cortex",
      "/usr/share/cortex",
      "/usr/share/cortex/schemas",
      "/usr/share/doc/cortex",
      "/usr/share/licenses/cortex",
      "/usr/share/fish",
      "/usr/share/fish/vendor_completions.d",
      "/usr/share/zsh",
      "/usr/share/zsh/site-functions",
    ],
    scriptlets: formatScriptlets({
      units: ["cortex.service"],
      sysusers: "cortex.conf",
      // A reload is a rolling restart: the new version takes the requests over.
      renew: "try-reload-or-restart",
    }),
  };
}

/** The package with the libraries of one flavour. */
export async function planNeuronPackage(
  source: PayloadSource,
  options: { readonly flavour: Flavour; readonly libraries: readonly string[] },
): Promise<PackagePlan> {
  const { flavour } = options;
  const { version } = source.stamp;
  const name = `helexa-neuron-${flavour}`;
  return {
    name,
    summary: `Inference daemon of a cortex fleet, for ${flavour === "cpu" ? "CPUs" : `NVIDIA GPUs (${flavour})`}`,
    description: `${ABOUT}\nThis package makes a machine a neuron. Its native libraries are for\n${DEVICES[flavour]}.`,
    provides: [`helexa-neuron = ${version}-${RELEASE}`],
    conflicts: ["helexa-neuron"],
    requires: [`cortex = ${version}-${RELEASE}`],
    files: await listNeuronFiles(source, options),
    folders: [
      "/etc/cortex",
      LIBRARY_FOLDER,
      `/usr/share/doc/${name}`,
      `/usr/share/licenses/${name}`,
    ],
    scriptlets: formatScriptlets({
      units: ["neuron.service"],
      instances: ["neuron@*.service"],
      sysusers: "helexa-neuron.conf",
      tmpfiles: "helexa-neuron.conf",
      flavours: { pattern: flavourFile("*"), own: flavourFile(flavour) },
      renew: "try-restart",
    }),
  };
}
