import { type Static, Type as t } from "@sinclair/typebox";

/**
 * Leases say that requests elsewhere wait for a model of a neuron. Several gateways share neurons without knowing of
 * each other: a holder, one gateway's run, tells each neuron for which of its models it has requests waiting, and says
 * so again while that is so. What it does not renew is gone after `seconds`, so that nothing remains of a gateway that
 * died.
 */

/** The most that a lease may last without being renewed. */
export const LEASE_SECONDS_MAX = 60;
/** Models that one holder may lease at one neuron: more than a neuron serves. */
const LEASES_MAX = 1_024;
/** More requests than a gateway can have open. */
const COUNT_MAX = 1_000_000;

/** Who leases: one run of a gateway, under a name that is drawn anew at each start. */
export const HolderSchema = t.String({ pattern: "^[A-Za-z0-9_.:-]{1,64}$" });
const holder = HolderSchema;
const count = t.Integer({ minimum: 1, maximum: COUNT_MAX });
const seconds = t.Number({ minimum: 1, maximum: LEASE_SECONDS_MAX });

/** A lease of the model that the same request loads or plans, so that both are one step. */
export const LeaseClaimSchema = t.Object({ holder, count, seconds });
export type LeaseClaim = Static<typeof LeaseClaimSchema>;

/** POST /models/leases: all that the holder leases at this neuron from now on; what is not named is given back. */
export const LeaseRequestSchema = t.Object({
  holder,
  seconds,
  /** Requests that wait, by the model's id or alias. */
  leases: t.Record(t.String(), count, { maxProperties: LEASES_MAX }),
});
export type LeaseRequest = Static<typeof LeaseRequestSchema>;

export const LeaseResponseSchema = t.Object({
  /** Ids of the models that the holder leases now. */
  leased: t.Array(t.String()),
  /** Names that no model of this neuron has; nothing is leased for them. */
  unknown: t.Array(t.String()),
});
export type LeaseResponse = Static<typeof LeaseResponseSchema>;

/** A live lease as others see it. Renewing changes nothing in it, so that nothing has to be told. */
export const LeaseSchema = t.Object({
  holder: t.String(),
  /** Requests that wait there. */
  count: t.Integer(),
  /** Since when without a gap, in milliseconds since the epoch by the neuron's clock. */
  since_ms: t.Number(),
});
export type ModelLease = Static<typeof LeaseSchema>;
