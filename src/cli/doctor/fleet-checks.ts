import { systemClock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import { type NeuronStatus, type Status, StatusSchema } from "../../protocol/status.ts";
import type { AdminClient } from "../client/admin-client.ts";
import { type Finding, fine, problem, skipped } from "./finding.ts";

const GATEWAY = "gateway";
const NEURON = "neuron";
const VERSIONS = "versions";
const CLOCKS = "clocks";
const DUPLICATES = "duplicates";
/** HTTP dates are whole seconds, and an answer takes a while. */
const SKEW_MAX_SECONDS = 5;
const ASK_MS = 3_000;

/**
 * What a gateway says of its neurons, and what they say of the time. A gateway that nobody named and that does not
 * answer is no problem: this machine may be a neuron's alone.
 */
export async function checkFleet(
  client: AdminClient,
  options: { readonly isNamed: boolean },
): Promise<readonly Finding[]> {
  let status: Status;
  try {
    status = await client.get("/admin/status?models=loaded", StatusSchema);
  } catch (error) {
    if (!(error instanceof CortexError)) throw error;
    if (!options.isNamed) return [skipped(GATEWAY, `None answers at ${client.url}`)];
    const isHere = /^(localhost|127\..*|\[::1\])$/.test(hostOf(client.url));
    const mend = isHere ? "sudo systemctl restart cortex" : `curl -v ${client.url}/health`;
    return [problem(GATEWAY, error.message, mend)];
  }
  const { neurons, version } = status;
  const found = neurons.length === 1 ? "1 neuron" : `${neurons.length} neurons`;
  const gateway =
    neurons.length === 0
      ? problem(GATEWAY, `${client.url} has no neurons`, "cortex config init --kind gateway")
      : fine(GATEWAY, `${client.url} answers: version ${version}, ${found}`);
  return [
    gateway,
    ...neurons.flatMap(checkNeuron),
    ...checkVersions(neurons, version),
    ...checkDuplicates(neurons),
    ...(await checkClocks(client.url, neurons)),
  ];
}

function checkNeuron(neuron: NeuronStatus): readonly Finding[] {
  const { name, endpoint, state, cause } = neuron;
  if (state === "down" || state === "unknown") {
    const text = `${name} at ${endpoint} is ${state}${cause === undefined ? "" : `: ${cause}`}`;
    return [problem(NEURON, text, `ssh ${hostOf(endpoint)} sudo systemctl restart neuron`)];
  }
  if (state === "drained" || state === "draining") {
    return [problem(NEURON, `${name} takes no requests: it is ${state}`, `cortex undrain ${name}`)];
  }
  const bad = neuron.devices.filter((device) => device.state !== "ok");
  const restart = `ssh ${hostOf(endpoint)} sudo systemctl restart neuron`;
  if (bad.length > 0) {
    return bad.map((device) => {
      const why = device.cause === undefined ? "" : `: ${device.cause}`;
      const text = `device ${device.index} of ${name} is ${device.state}${why}`;
      return problem(NEURON, text, restart);
    });
  }
  if (state === "degraded") {
    return [problem(NEURON, `${name} is degraded: ${cause ?? "see its log"}`, restart)];
  }
  return [fine(NEURON, `${name} at ${endpoint} is ${state}`)];
}

/** Versions may differ while an upgrade rolls through the fleet, and should not stay so. */
function checkVersions(neurons: readonly NeuronStatus[], version: string): readonly Finding[] {
  const told = neurons.filter((neuron) => neuron.version !== undefined);
  if (told.length === 0) return [];
  const others = told.filter((neuron) => neuron.version !== version);
  if (others.length === 0) return [fine(VERSIONS, `All neurons have the gateway's, ${version}`)];
  return others.map(({ name, endpoint, version: its }) => {
    const text = `${name} has version ${its}, the gateway ${version}`;
    return problem(VERSIONS, text, `ssh ${hostOf(endpoint)} sudo dnf upgrade 'helexa-neuron*'`);
  });
}

/** 1. one daemon under two names; 2. two daemons of one host with one device, whose memory would be counted twice. */
function checkDuplicates(neurons: readonly NeuronStatus[]): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [index, one] of neurons.entries()) {
    for (const other of neurons.slice(index + 1)) {
      // 1.
      if (one.instance !== undefined && one.instance === other.instance) {
        const text = `${one.name} and ${other.name} are the same neuron, at ${other.endpoint}`;
        findings.push(problem(DUPLICATES, text, "sudoedit /etc/cortex/cortex.toml"));
        continue;
      }
      // 2.
      const shared = one.devices.find(
        ({ pci }) => pci !== undefined && other.devices.some((device) => device.pci === pci),
      );
      if (shared === undefined || hostOf(one.endpoint) !== hostOf(other.endpoint)) continue;
      const text = `${one.name} and ${other.name} both serve device ${shared.pci} of one host`;
      const host = hostOf(one.endpoint);
      findings.push(problem(DUPLICATES, text, `ssh ${host} systemctl list-units 'neuron*'`));
    }
  }
  if (findings.length > 0 || neurons.length < 2) return findings;
  return [fine(DUPLICATES, "No neuron is there twice")];
}

/** Compares the times that gateway and neurons put on their answers; what cannot be reached from here is left out. */
async function checkClocks(
  gateway: string,
  neurons: readonly NeuronStatus[],
): Promise<readonly Finding[]> {
  const own = await askSkew(gateway);
  if (own === undefined) return [skipped(CLOCKS, "The gateway does not say what time it is")];
  const asked = await Promise.all(
    neurons
      .filter(({ kind }) => kind === undefined || kind === "neuron")
      .map(async ({ name, endpoint }) => ({ name, endpoint, skew: await askSkew(endpoint) })),
  );
  const known = asked.filter((neuron) => neuron.skew !== undefined);
  const wrong = known.filter(({ skew = 0 }) => Math.abs(skew - own) > SKEW_MAX_SECONDS);
  const unknown = asked.filter((neuron) => neuron.skew === undefined).map(({ name }) => name);
  const rest =
    unknown.length === 0
      ? []
      : [skipped(CLOCKS, `Cannot be read from here: ${unknown.join(", ")}`)];
  if (wrong.length === 0) {
    const right =
      known.length === 0
        ? []
        : [
            fine(
              CLOCKS,
              known.length === 1 ? "The neuron's agrees" : `${known.length} neurons agree`,
            ),
          ];
    return [...right, ...rest];
  }
  const findings = wrong.map(({ name, endpoint, skew = 0 }) => {
    const seconds = Math.round(skew - own);
    const text = `${name} is ${Math.abs(seconds)} s ${seconds > 0 ? "ahead of" : "behind"} the gateway`;
    return problem(CLOCKS, text, `ssh ${hostOf(endpoint)} sudo chronyc makestep`);
  });
  return [...findings, ...rest];
}

/** By how many seconds a daemon's clock is ahead of this machine's. */
async function askSkew(url: string): Promise<number | undefined> {
  try {
    const startMs = systemClock.nowMs();
    const signal = AbortSignal.timeout(ASK_MS);
    const response = await fetch(`${url}/health`, { signal, redirect: "manual" });
    const middleMs = (startMs + systemClock.nowMs()) / 2;
    await response.body?.cancel();
    const dateMs = Date.parse(response.headers.get("date") ?? "");
    // The date is cut to whole seconds.
    return Number.isNaN(dateMs) ? undefined : (dateMs + 500 - middleMs) / 1000;
  } catch {
    // Its state is told elsewhere.
    return undefined;
  }
}

function hostOf(endpoint: string): string {
  return URL.parse(endpoint)?.hostname ?? endpoint;
}
