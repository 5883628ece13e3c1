import { Elysia } from "elysia";
import { VERSION } from "../../base/version.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { describeHealth } from "../fleet/status.ts";

export interface ProbeRoutesOptions {
  readonly fleet: Fleet;
}

/** What load balancers, supervisors and clients ask before they begin. */
export function probeRoutes({ fleet }: ProbeRoutesOptions) {
  return new Elysia({ name: "probes" })
    .get("/", ({ set }) => {
      set.headers["content-type"] = "text/plain; charset=utf-8";
      return `cortex ${VERSION}: OpenAI and Anthropic APIs under /v1; see /docs\n`;
    })
    .get("/health", ({ set }) => {
      const health = describeHealth(fleet);
      if (health.state === "no_neurons") set.status = 503;
      return health;
    });
}
