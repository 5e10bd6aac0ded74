import type { Clock } from "../ports/clock.ts";

/** The machine's own time. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  soon: (run) => {
    setImmediate(run);
  },
};
