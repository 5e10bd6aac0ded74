/** Whether nodes say that they are ready, and a watch that a node does not say for long that it is ready while it answers nothing but 503 and 504. */

import type { CofferNode } from "../../tools/harness/coffer.ts";
import type { Tellers } from "./tellers.ts";

const LOOK_MS = 50;
/** For how long a node may be wrong about itself: far more than it needs, on a machine that is busy. */
export const MAX_FALSE_MS = 15_000;

/** "ready", or why a node is not. */
export async function readinessOf(node: CofferNode): Promise<string> {
  const { status, body } = await node.client.get("/health/ready");
  return status === 200 ? "ready" : body.detail;
}

export class Readiness {
  #stopped = false;
  #falseMs = 0;
  readonly #watching: Promise<void>;

  constructor(
    private readonly node: CofferNode,
    private readonly tellers: Tellers,
  ) {
    this.#watching = this.#watch();
  }

  /** Ends the watch; returns for how long, at the most, the node was ready and answered only 503 and 504. */
  async stop(): Promise<number> {
    this.#stopped = true;
    await this.#watching;
    return this.#falseMs;
  }

  async #watch(): Promise<void> {
    let [sinceMs, goodBefore, badBefore] = [performance.now(), this.#good(), this.#bad()];
    while (!this.#stopped) {
      if ((await readinessOf(this.node)) !== "ready" || this.#good() > goodBefore)
        [sinceMs, goodBefore, badBefore] = [performance.now(), this.#good(), this.#bad()];
      else if (this.#bad() > badBefore) this.#falseMs = Math.max(this.#falseMs, performance.now() - sinceMs);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #good(): number {
    return this.tellers.acknowledged;
  }

  #bad(): number {
    return (this.tellers.statuses.get(503) ?? 0) + (this.tellers.statuses.get(504) ?? 0);
  }
}
