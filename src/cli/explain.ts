import { CortexError } from "../base/errors.ts";
import {
  type RequestExplanation,
  RequestExplanationSchema,
  type RequestList,
  RequestListSchema,
} from "../protocol/requests.ts";
import { type AdminPlanResponse, AdminPlanResponseSchema } from "../protocol/status.ts";
import type { AdminClient } from "./client/admin-client.ts";
import { clientFlags, openClient } from "./client/client-flags.ts";
import { formatExplanation, formatRequests } from "./client/format-requests.ts";
import { defineCliCommand } from "./frame/cli-command.ts";
import { EXIT } from "./frame/exit-codes.ts";
import { printAnswer } from "./frame/print-answer.ts";
import { styleFor } from "./frame/style.ts";
import { formatPlan } from "./plan.ts";

/** `cortex explain REQUEST|MODEL`: why requests went where they went. */
export const explainCommand = defineCliCommand({
  name: "explain",
  summary: "Say why a request went where it did, what it waited for and what was evicted",
  details: [
    "A request is named by the id in its answer's X-Request-Id. For a model it is where a request\n" +
      "would go now, and the last ones. The gateway remembers its last thousand requests.",
  ],
  args: {
    target: { type: "positional", required: true, description: "a request's id, or a model" },
    ...clientFlags("60"),
  },
  examples: ["explain req_0199c2d1a3b4", "explain smollm2", "explain smollm2 --json"],
  exits: ["failed", "usage", "unreachable"],
  run: async (args) => {
    const client = openClient(args);
    const style = styleFor(process.stdout);
    const request = await findRequest(client, args.target);
    if (request !== undefined) {
      const text = `${formatExplanation(request, style)}\n`;
      printAnswer("explain", args, { data: { request }, text });
      return EXIT.ok;
    }
    const { plan, requests } = await askForModel(client, args.target);
    const last =
      requests.length === 0 ? "No request for it is remembered" : formatRequests(requests, style);
    const text = `${formatPlan(plan, style)}\n\n${last}\n`;
    printAnswer("explain", args, { data: { plan, requests }, text });
    return EXIT.ok;
  },
});

/** Undefined where no request is called so: then it may be a model. */
async function findRequest(
  client: AdminClient,
  target: string,
): Promise<RequestExplanation | undefined> {
  try {
    const path = `/admin/requests/${encodeURIComponent(target)}`;
    return await client.get(path, RequestExplanationSchema);
  } catch (thrown) {
    if (thrown instanceof CortexError && thrown.code === "request_not_found") return undefined;
    throw thrown;
  }
}

async function askForModel(
  client: AdminClient,
  model: string,
): Promise<{ readonly plan: AdminPlanResponse; readonly requests: RequestList["requests"] }> {
  try {
    const plan = await client.post("/admin/plan", { model }, AdminPlanResponseSchema);
    const query = `?limit=10&model=${encodeURIComponent(model)}`;
    const { requests } = await client.get(`/admin/requests${query}`, RequestListSchema);
    return { plan, requests };
  } catch (thrown) {
    if (!(thrown instanceof CortexError) || thrown.code !== "model_not_found") throw thrown;
    throw new CortexError(
      "model_not_found",
      `Cannot explain '${model}': neither a model nor a request that the gateway remembers`,
      { hint: "cortex models, or the id in the answer's X-Request-Id header" },
    );
  }
}
