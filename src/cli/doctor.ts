import { systemClock } from "../base/clock.ts";
import { clientFlags, HOST_VARIABLE, openClient } from "./client/client-flags.ts";
import type { Finding } from "./doctor/finding.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { type Style, styleFor } from "./frame/style.ts";

/** `cortex doctor`: what is wrong with this machine and its fleet, and what mends it. */
export const doctorCommand = defineCliCommand({
  name: "doctor",
  summary: "Look for what is wrong on this machine and in the fleet, and say what mends it",
  details: [
    "Looks at the configuration, ports, the native library and its devices, the NVIDIA driver, models,\n" +
      "disk, folders, limits, locks, systemd's units, and at the gateway and each of its neurons. Nothing\n" +
      "is changed. Each problem comes with the command that mends it or shows more.",
    "With --host only that gateway and its neurons are looked at.",
  ],
  args: {
    "gateway-config": { type: "string", valueHint: "FILE", description: "cortex.toml to check" },
    "neuron-config": { type: "string", valueHint: "FILE", description: "neuron.toml to check" },
    ...clientFlags("5"),
  },
  examples: ["doctor", "doctor --host http://gateway:31313", "doctor --json"],
  exits: ["failed", "usage"],
  run: async (args) => {
    const isNamed = args.host !== undefined || Boolean(process.env[HOST_VARIABLE]);
    const local =
      args.host === undefined ? await checkHere(args) : { findings: [], hasGateway: false };
    const { checkFleet } = await import("./doctor/fleet-checks.ts");
    const client = openClient(args);
    const fleet = await checkFleet(client, { isNamed: isNamed || local.hasGateway });
    const findings = [...local.findings, ...fleet];
    const problems = findings.filter(({ state }) => state === "problem").length;
    const text = format(findings, styleFor(process.stdout));
    printAnswer("doctor", args, { data: { ok: problems === 0, problems, findings }, text });
    return problems === 0 ? EXIT.ok : EXIT.failed;
  },
});

/** All that can be seen without a gateway. The roles' code is loaded here, for it is what would run. */
async function checkHere(args: {
  readonly "gateway-config"?: string | undefined;
  readonly "neuron-config"?: string | undefined;
}): Promise<{ readonly findings: Finding[]; readonly hasGateway: boolean }> {
  const { checkConfigs } = await import("./doctor/config-checks.ts");
  const { checkPort } = await import("./doctor/port-checks.ts");
  const { checkLimits, checkUnits } = await import("./doctor/system-checks.ts");
  const { gateway, neuron, findings } = await checkConfigs({
    gatewayFile: args["gateway-config"],
    neuronFile: args["neuron-config"],
  });
  const found: Finding[] = [...findings];
  if (gateway !== undefined) {
    const { listen, metrics_listen: metrics } = gateway.gateway;
    found.push(await checkPort({ check: "gateway's port", listen, path: "/health" }));
    found.push(await checkPort({ check: "metrics' port", listen: metrics, path: "/metrics" }));
  }
  if (neuron !== undefined) {
    const { checkEngine } = await import("./doctor/engine-checks.ts");
    const { checkModels, checkWritable } = await import("./doctor/folder-checks.ts");
    const { checkPulls } = await import("./doctor/pull-checks.ts");
    const { modelFolders } = await import("../neuron/supply/model-folders.ts");
    const { listen } = neuron.neuron;
    found.push(await checkPort({ check: "neuron's port", listen, path: "/health" }));
    found.push(...(await checkEngine(neuron)));
    found.push(...(await checkModels(neuron, process.env)));
    const { store } = modelFolders(neuron, process.env);
    found.push(...(await checkPulls(store, systemClock.nowMs())));
    found.push(...(await checkWritable(process.env)));
  }
  found.push(await checkLimits(), ...checkUnits());
  return { findings: found, hasGateway: gateway !== undefined };
}

const MARKS = { ok: "ok", problem: "PROBLEM", skipped: "-" } as const;

function format(findings: readonly Finding[], style: Style): string {
  const paint = { ok: style.green, problem: style.red, skipped: style.dim };
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, state, text, mend }) => [
    `${paint[state](MARKS[state].padEnd(7))}  ${check.padEnd(width)}  ${text}`,
    ...(mend === undefined ? [] : [`${" ".repeat(width + 11)}${style.bold(`try: ${mend}`)}`]),
  ]);
  const problems = findings.filter(({ state }) => state === "problem").length;
  const sum =
    problems === 0 ? "Nothing is wrong" : `${problems} ${problems === 1 ? "problem" : "problems"}`;
  return `${lines.join("\n")}\n\n${sum}\n`;
}
