import { type Static, Type as t } from "@sinclair/typebox";

/** Raised when a change cannot be read by the other side's older version. */
export const PROTOCOL_VERSION = 1;

export const DeviceSchema = t.Object({
  index: t.Integer(),
  kind: t.String(),
  name: t.String(),
  description: t.Optional(t.String()),
  compute_capability: t.Union([t.String(), t.Null()]),
  /** Its address on the PCI bus, such as 0000:65:00.0. */
  pci: t.Optional(t.String()),
  /** Version of the kernel driver, of a CUDA device. */
  driver: t.Optional(t.String()),
  /** The node whose CPUs and memory are near, where the host has several. */
  numa_node: t.Optional(t.Integer()),
  /** Of a remote device: its RPC server, host:port. */
  endpoint: t.Optional(t.String()),
  memory_total_bytes: t.Number(),
  memory_free_bytes: t.Number(),
  /** ok serves; poisoned accepts no new loads until the daemon restarts; lost is another host's, until that is back. */
  state: t.Union([t.Literal("ok"), t.Literal("poisoned"), t.Literal("lost")]),
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
  /** Whether an operator takes it out: it serves what it is asked, and gateways ask nothing new. */
  drained: t.Optional(t.Boolean()),
  /** Why it is degraded although every device is well. */
  cause: t.Optional(t.String()),
});
export type Health = Static<typeof HealthSchema>;

export const DiscoverySchema = t.Object({
  host: t.String(),
  version: t.String(),
  engine: t.String(),
  flavour: t.String(),
  library: t.String(),
  backends: t.Array(t.String()),
  /** Of the library: what it was built for, and whether several GPUs talk to each other through NCCL. */
  cuda_architectures: t.Array(t.String()),
  nccl: t.Boolean(),
  /** Nodes of this host that have CPUs; one on most hosts, none where the kernel does not say. */
  numa_nodes: t.Array(
    t.Object({
      node: t.Integer(),
      cpus: t.Array(t.Integer()),
      memory_total_bytes: t.Number(),
    }),
  ),
  /** Where models go by default: devices that run models together, by name. */
  device_sets: t.Array(t.Object({ name: t.String(), devices: t.Array(t.Integer()) })),
  /** RPC servers of the configuration; one with a cause is missing. */
  rpc_servers: t.Array(t.Object({ endpoint: t.String(), cause: t.Optional(t.String()) })),
  devices: t.Array(DeviceSchema),
});
export type Discovery = Static<typeof DiscoverySchema>;
