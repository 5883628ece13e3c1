import { ask, DIALECTS } from "../ask.ts";
import type { ConformanceCase } from "../conformance-case.ts";
import { expectThat } from "../expectations.ts";

/** More than the slots of a small server, so that some of them are queued. */
const DROPPED = 8;
/** Far below the time that the eight answers would take. */
const WAIT_MAX_MS = 8_000;

/** A client that leaves stops its answer: otherwise eight long ones would keep the ninth waiting. */
export const CANCEL_CASES: readonly ConformanceCase[] = DIALECTS.map((dialect) => ({
  name: "eight streams that are dropped leave the server free within eight seconds",
  topic: "cancel",
  dialect: dialect.name,
  isAlone: true,
  async run(target) {
    const body = {
      ...dialect.write({ user: "Write a very long story.", maxTokens: 2_000 }, target.model),
      stream: true,
      ignore_eos: true,
    };
    const streams = Array.from({ length: DROPPED }, async () => {
      const leave = new AbortController();
      const { headers } = dialect;
      const opened = target.open(dialect.path, body, { headers, signal: leave.signal });
      const first = opened.then(async (response) => await response.body?.getReader().read());
      return { leave, first };
    });
    const opened = await Promise.all(streams);
    // Which of them are answered at once is the server's choice; one is enough to know that it works on them.
    await Promise.any(opened.map(({ first }) => first));
    for (const { leave, first } of opened) {
      leave.abort();
      first.catch(() => undefined);
    }
    const startedMs = performance.now();
    await ask(target, dialect, { user: "Hello.", maxTokens: 1 });
    const tookMs = performance.now() - startedMs;
    expectThat(tookMs < WAIT_MAX_MS, `The next answer took ${tookMs.toFixed(0)} ms`);
  },
}));
