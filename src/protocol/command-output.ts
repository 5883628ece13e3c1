import { type Static, Type as t } from "@sinclair/typebox";
import { BenchSchema } from "./bench-report.ts";
import { AdminDrainResponseSchema } from "./drains.ts";
import { FindingSchema } from "./findings.ts";
import { FitSchema } from "./fit-report.ts";
import { LogEventSchema } from "./log-events.ts";
import { RemovalSchema } from "./removals.ts";
import { RequestExplanationSchema, RequestListSchema, RequestSummarySchema } from "./requests.ts";
import {
  AdminLoadResponseSchema,
  AdminPlanResponseSchema,
  AdminUnloadResponseSchema,
  ModelStatusSchema,
  StatusSchema,
} from "./status.ts";
import { TopSchema } from "./top.ts";

/** Raised when a field of what --json prints is removed or means something else; new fields do not count. */
export const COMMAND_OUTPUT_VERSION = 1;

/** What a command with --dry-run would do, in order. */
export const DryRunSchema = t.Object({
  dry_run: t.Literal(true),
  changes: t.Array(
    t.Object({
      action: t.Union(
        (
          [
            "load",
            "unload",
            "evict",
            "drain",
            "move",
            "undrain",
            "pin",
            "unpin",
            "fetch",
            "remove",
          ] as const
        ).map((action) => t.Literal(action)),
      ),
      /** A model, or the file that would be fetched or removed. */
      model: t.Optional(t.String()),
      neuron: t.Optional(t.String()),
      /** The neuron to which a model moves, and whether it has to be loaded there. */
      to: t.Optional(t.String()),
      loads: t.Optional(t.Boolean()),
      bytes: t.Optional(t.Number()),
      in_flight: t.Optional(t.Integer()),
    }),
  ),
  /** Why nothing, or not all of it, would be done. */
  why: t.Optional(t.String()),
});
export type DryRun = Static<typeof DryRunSchema>;

/** A model that is in memory, or on its way there. */
const RunningModelSchema = t.Object({
  model: t.String(),
  neuron: t.String(),
  state: t.String(),
  progress: t.Optional(t.Number()),
  slots: t.Integer(),
  slots_busy: t.Integer(),
  in_flight: t.Integer(),
  waiting: t.Integer(),
  pinned: t.Boolean(),
  tokens_per_second: t.Optional(t.Number()),
  memory_bytes: t.Optional(t.Number()),
  /** Missing while it is busy, and where nobody has used it yet. */
  idle_seconds: t.Optional(t.Number()),
});
export type RunningModel = Static<typeof RunningModelSchema>;

/** Where a model is ready, and where its pin was changed. */
const PinSchema = t.Object({
  model: t.String(),
  pinned: t.Boolean(),
  neurons: t.Array(t.String()),
  changed: t.Array(t.String()),
});

const FareSchema = t.Object({
  requests: t.Integer(),
  answered: t.Integer(),
  failed: t.Integer(),
  cold_loads: t.Integer(),
  /** Unloads that made room for another model. */
  evictions: t.Integer(),
  /** Unloads of idle models and surplus replicas, and such as join up memory. */
  idle_unloads: t.Integer(),
  waiting_seconds: t.Number(),
  ttft_seconds: t.Object({
    mean: t.Number(),
    p50: t.Number(),
    p90: t.Number(),
    p99: t.Number(),
    max: t.Number(),
  }),
});

/** How a replayed log fared under one configuration. */
const ReplaySchema = t.Object({
  total: FareSchema,
  models: t.Record(t.String(), FareSchema),
  failures: t.Record(t.String(), t.Integer()),
});

/** A kind of configuration file and the file; null where the defaults serve. */
const ConfigFileSchema = t.Object({ kind: t.String(), file: t.Union([t.String(), t.Null()]) });

/** What each command prints with --json beside the envelope's own fields. */
export const COMMAND_OUTPUTS = {
  status: StatusSchema,
  ps: t.Object({ running: t.Array(RunningModelSchema) }),
  show: ModelStatusSchema,
  pin: t.Union([PinSchema, DryRunSchema]),
  unpin: t.Union([PinSchema, DryRunSchema]),
  run: t.Object({
    model: t.String(),
    text: t.String(),
    finish_reason: t.Optional(t.String()),
    prompt_tokens: t.Optional(t.Integer()),
    completion_tokens: t.Optional(t.Integer()),
  }),
  connect: t.Object({
    client: t.String(),
    model: t.String(),
    settings: t.Array(t.Object({ where: t.String(), text: t.String() })),
    /** With --wait, on a second line. */
    first_request: t.Optional(RequestSummarySchema),
  }),
  models: t.Object({ models: t.Array(ModelStatusSchema) }),
  load: t.Union([AdminLoadResponseSchema, DryRunSchema]),
  unload: t.Union([AdminUnloadResponseSchema, DryRunSchema]),
  plan: AdminPlanResponseSchema,
  /** One line for each change. */
  top: TopSchema,
  /** One line for each event. */
  events: LogEventSchema,
  logs: LogEventSchema,
  explain: t.Union([
    t.Object({ request: RequestExplanationSchema }),
    t.Object({
      plan: AdminPlanResponseSchema,
      requests: RequestListSchema.properties.requests,
    }),
  ]),
  drain: t.Union([AdminDrainResponseSchema, DryRunSchema]),
  undrain: t.Union([AdminDrainResponseSchema, DryRunSchema]),
  simulate: t.Union([ReplaySchema, t.Object({ before: ReplaySchema, after: ReplaySchema })]),
  pull: t.Union([
    t.Object({
      source: t.String(),
      commit: t.String(),
      bytes: t.Number(),
      fetched_bytes: t.Number(),
      seconds: t.Number(),
      files: t.Array(t.Object({ name: t.String(), path: t.String() })),
    }),
    DryRunSchema,
  ]),
  bench: BenchSchema,
  fit: FitSchema,
  doctor: t.Object({
    ok: t.Boolean(),
    problems: t.Integer(),
    findings: t.Array(FindingSchema),
  }),
  rm: t.Union([
    t.Intersect([RemovalSchema, t.Object({ neuron: t.Optional(t.String()) })]),
    DryRunSchema,
  ]),
  "config init": t.Object({ kind: t.String(), file: t.String() }),
  "config check": t.Object({
    files: t.Array(
      t.Intersect([
        ConfigFileSchema,
        t.Object({ errors: t.Array(t.String()), warnings: t.Array(t.String()) }),
      ]),
    ),
  }),
  "config show": t.Object({
    files: t.Array(
      t.Intersect([
        ConfigFileSchema,
        t.Object({
          config: t.Unknown(),
          /** By key: default, FILE:LINE or a variable. */
          origins: t.Optional(t.Record(t.String(), t.String())),
        }),
      ]),
    ),
  }),
  "config diff": t.Object({
    /** null where the key is left out. */
    changes: t.Array(t.Object({ key: t.String(), from: t.Unknown(), to: t.Unknown() })),
  }),
  version: t.Object({
    version: t.String(),
    build: t.Optional(t.String()),
    bun: t.String(),
    platform: t.String(),
    compiled: t.Boolean(),
    libraries: t.Array(t.String()),
  }),
} as const;

export type CommandName = keyof typeof COMMAND_OUTPUTS;

/** The fields that every command prints first, on the one line that is its whole answer. */
export const EnvelopeSchema = t.Object({
  schema_version: t.Literal(COMMAND_OUTPUT_VERSION),
  /** Which command says it; one of {@link COMMAND_OUTPUTS}. */
  command: t.String(),
});

/** The schema of a whole line that a command prints with --json. */
export function commandOutputSchema(command: CommandName) {
  return t.Intersect([EnvelopeSchema, COMMAND_OUTPUTS[command]]);
}
