import { type Static, Type as t } from "@sinclair/typebox";

/** Raised when a change cannot be read by the other side's older version. */
export const PROTOCOL_VERSION = 1;

export const DeviceSchema = t.Object({
  index: t.Integer(),
  kind: t.String(),
  name: t.String(),
  description: t.Optional(t.String()),
  compute_capability: t.Union([t.String(), t.Null()]),
  memory_total_bytes: t.Number(),
  memory_free_bytes: t.Number(),
  /** ok serves; poisoned accepts no new loads until the daemon restarts. */
  state: t.Union([t.Literal("ok"), t.Literal("poisoned")]),
  cause: t.Optional(t.String()),
});
export type Device = Static<typeof DeviceSchema>;

export const HealthSchema = t.Object({
  state: t.Union([t.Literal("ok"), t.Literal("degraded"), t.Literal("draining")]),
  protocol: t.Integer(),
  version: t.String(),
  /** Changes with every start of the daemon: a reader that sees a new one forgets what it knew. */
  instance: t.String(),
  devices: t.Array(DeviceSchema),
});
export type Health = Static<typeof HealthSchema>;

export const DiscoverySchema = t.Object({
  host: t.String(),
  version: t.String(),
  engine: t.String(),
  flavour: t.String(),
  library: t.String(),
  backends: t.Array(t.String()),
  devices: t.Array(DeviceSchema),
});
export type Discovery = Static<typeof DiscoverySchema>;
