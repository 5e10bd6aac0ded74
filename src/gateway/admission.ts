/**
 * Whether one more request may wait: by how long it would wait, and at most as much as there is memory for.
 *
 * What waits is weighed, and each outcome tells how fast weight goes through: as much is let in as goes
 * through in MAX_WAIT_MS. Where nothing comes back any more, only now and then one is let in behind those who
 * wait, to see whether that is still so: what never comes back must not keep out who would.
 */

import { MAX_FRAME_COMMANDS } from "../wire/frame.ts";

/** Whoever would wait longer is not let in: a small part of the second that it may take, for its body has to come through, and speed may halve meanwhile. */
export const MAX_WAIT_MS = 150;
/** Where nothing has come back for so long, the queue stands still; then one is let in each time that it is over. */
export const STANDSTILL_MS = 500;
/** What a request weighs beside its commands, which weigh 1 each: as measured, one alone costs as much as nine of a batch. */
export const REQUEST_WEIGHT = 8;
const WHOLE_BATCH = MAX_FRAME_COMMANDS + REQUEST_WEIGHT;
/** What is always let in, eight whole batches: a queue that is far away is slow without being busy. */
export const LEAST_ROOM = 8 * WHOLE_BATCH;
/** However fast it goes, all gateways of a node hold no more whole batches: each command takes memory while it waits. */
const MOST_BATCHES = 32;
/** So many commands at most wait in a node with up to MOST_BATCHES gateways; a gateway more adds a whole batch. */
export const MAX_WAITING_COMMANDS = MOST_BATCHES * MAX_FRAME_COMMANDS;
/** How much of the room each outcome decides. */
const SHARE_OF_ONE = 1 / 4;

/** The most weight that may wait at each of `gateways`: its part, in whole batches, and one at least. */
export function mostWaiting(gateways: number): number {
  return Math.max(1, Math.floor(MOST_BATCHES / gateways)) * WHOLE_BATCH;
}

export class Admission {
  #waiting = 0;
  #room = LEAST_ROOM;
  /** When something came back, or began to wait where nothing did. */
  #movedMs = 0;
  /** When somebody was last let in. */
  #enteredMs = 0;

  /** `most`: the most weight that may wait, whatever goes through; every request fits in it. */
  constructor(private readonly most: number) {}

  /** The weight of what waits. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Why a request of this weight cannot wait now; undefined where it can. Whoever is alone always can. */
  refusal(weight: number, nowMs: number): string | undefined {
    if (this.#waiting + weight > this.most) return "as much waits as may wait at this gateway";
    if (this.#waiting === 0) return undefined;
    if (nowMs - this.#movedMs > STANDSTILL_MS && nowMs - this.#enteredMs <= STANDSTILL_MS)
      return `The server is saturated: no command has completed for ${STANDSTILL_MS} ms`;
    if (this.#waiting + weight > this.#room)
      return `The server is saturated: a new request would wait longer than ${MAX_WAIT_MS} ms`;
    return undefined;
  }

  enter(weight: number, nowMs: number): void {
    if (this.#waiting === 0) this.#movedMs = nowMs;
    this.#enteredMs = nowMs;
    this.#waiting += weight;
  }

  /** It waits no more, whatever became of it. */
  leave(weight: number): void {
    this.#waiting -= weight;
  }

  /** An outcome has come of what was sent at `sentMs`, when with itself so much waited. */
  came(waited: number, sentMs: number, nowMs: number): void {
    this.#movedMs = nowMs;
    const throughput = waited / Math.max(nowMs - sentMs, 1);
    const room = Math.max(throughput * MAX_WAIT_MS, LEAST_ROOM);
    // An idle way says little about what it could carry: that it carried less is no reason to let in less.
    if (room > this.#room || nowMs - sentMs > MAX_WAIT_MS) this.#room += (room - this.#room) * SHARE_OF_ONE;
  }
}
