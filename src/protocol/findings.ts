import { Type as t } from "@sinclair/typebox";

/** One thing that `cortex doctor` looked at. */
export const FindingSchema = t.Object({
  check: t.String(),
  /** skipped: it does not apply here, or cannot be told from here. */
  state: t.Union([t.Literal("ok"), t.Literal("problem"), t.Literal("skipped")]),
  text: t.String(),
  /** The command that mends a problem. */
  mend: t.Optional(t.String()),
});
