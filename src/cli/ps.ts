import { formatAge, formatBytes } from "../base/units.ts";
import type { RunningModel } from "../protocol/command-output.ts";
import { type Status, StatusSchema } from "../protocol/status.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { styleFor } from "./frame/style.ts";
import { formatTable } from "./frame/table.ts";

/** `cortex ps`: what is in memory. */
export const psCommand = defineCliCommand({
  name: "ps",
  summary: "List what runs: models in memory, where, how busy and how fast",
  details: [
    "IDLE is how long nobody has used it. TOK/S is what one request gets while it decodes.",
  ],
  args: clientFlags("10"),
  examples: ["ps", "ps --json"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const status = await openClient(args).get("/admin/status?models=loaded", StatusSchema);
    const running = listRunning(status, Date.now());
    const text = running.length === 0 ? "Nothing is loaded\n" : `${formatRunning(running)}\n`;
    printAnswer("ps", args, { data: { running }, text });
    return EXIT.ok;
  },
});

function listRunning(status: Status, nowMs: number): RunningModel[] {
  return status.models.flatMap(({ id, replicas }) =>
    replicas
      .filter(({ state }) => state !== "absent")
      .map((replica) => {
        const { bytes, progress, decode_tokens_per_second: speed, last_used_ms } = replica;
        const isIdle = replica.in_flight === 0 && last_used_ms > 0;
        return {
          model: id,
          neuron: replica.neuron,
          state: replica.state,
          slots: replica.slots,
          slots_busy: replica.slots_busy,
          in_flight: replica.in_flight,
          waiting: replica.waiting,
          pinned: replica.pinned,
          ...(progress === undefined ? {} : { progress }),
          ...(speed === undefined || speed === 0 ? {} : { tokens_per_second: speed }),
          ...(bytes === undefined
            ? {}
            : { memory_bytes: bytes.weights + bytes.context + bytes.compute }),
          ...(isIdle ? { idle_seconds: Math.max(0, nowMs - last_used_ms) / 1000 } : {}),
        };
      }),
  );
}

function formatRunning(running: readonly RunningModel[]): string {
  const { bold } = styleFor(process.stdout);
  return formatTable(
    ["MODEL", "NEURON", "STATE", "SLOTS", "TOK/S", "MEMORY", "IDLE"],
    running.map((one) => [
      one.pinned ? `${one.model} (pinned)` : one.model,
      one.neuron,
      one.state === "loading" && one.progress !== undefined
        ? `loading ${Math.round(one.progress * 100)} %`
        : one.state,
      `${one.slots_busy}/${one.slots}`,
      one.tokens_per_second?.toFixed(1) ?? "-",
      one.memory_bytes === undefined ? "-" : formatBytes(one.memory_bytes),
      one.in_flight > 0
        ? "busy"
        : one.idle_seconds === undefined
          ? "never used"
          : formatAge(one.idle_seconds * 1000),
    ]),
    { right: ["SLOTS", "TOK/S", "MEMORY", "IDLE"], paintHeader: bold },
  );
}
