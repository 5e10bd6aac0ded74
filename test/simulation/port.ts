/** A link between two threads: messages are copied, and come late, in order. */

import type { Port } from "../../src/ports/link.ts";
import type { Random } from "./random.ts";
import type { SimulatedTime } from "./time.ts";

/** What one end posts, the other has after so long. */
export const MAX_DELAY_MS = 2;

export class SimulatedPort<Out, In> implements Port<Out, In> {
  #other: SimulatedPort<In, Out> | undefined;
  #receive: (message: In) => void = () => {};
  #dueMs = 0;

  private constructor(
    private readonly owner: object,
    private readonly random: Random,
    private readonly time: SimulatedTime,
  ) {}

  /** Both ends; what is on its way goes with its owner. */
  static pair<A, B>(
    owner: object,
    random: Random,
    time: SimulatedTime,
  ): [SimulatedPort<A, B>, SimulatedPort<B, A>] {
    const one = new SimulatedPort<A, B>(owner, random, time);
    const other = new SimulatedPort<B, A>(owner, random, time);
    one.#other = other;
    other.#other = one;
    return [one, other];
  }

  post(message: Out, handedOver: ArrayBuffer[] = []): void {
    const copy = structuredClone(message, { transfer: handedOver });
    this.#dueMs = Math.max(this.#dueMs, this.time.nowMs + this.random.between(0, MAX_DELAY_MS));
    const other = this.#other as SimulatedPort<In, Out>;
    this.time.after(this.owner, this.#dueMs - this.time.nowMs, () => other.#receive(copy));
  }

  onMessage(receive: (message: In) => void): void {
    this.#receive = receive;
  }
}
