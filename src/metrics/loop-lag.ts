/** By how much an event loop is late. */

import type { Clock } from "../ports/clock.ts";
import type { Observer } from "../ports/measures.ts";

const INTERVAL_MS = 200;

/** Tells `lag` a few times a second by how many seconds a timer was late, and calls `look` with it, until it is ended. */
export function watchLoop(clock: Clock, lag: Observer, look: () => void = () => {}): () => void {
  let cancel = () => {};
  const wait = () => {
    const dueMs = clock.nowMs() + INTERVAL_MS;
    cancel = clock.after(INTERVAL_MS, () => {
      lag.observe(Math.max(0, clock.nowMs() - dueMs) / 1_000);
      look();
      wait();
    });
  };
  wait();
  return () => cancel();
}
