/**
 * The frames that were published and have no outcome yet: sends them, and sends them again. It is the only registry
 * of frames under way on the engine's side.
 *
 * A frame stays until its outcome has come or its callers have given up. Of those that no caller waits for, the
 * newest one without an answer is kept: sending it again shows when the stream stores again, and its
 * Nats-Msg-Id keeps it from being stored twice.
 */

import type { Clock } from "../ports/clock.ts";
import type { FrameName, OutgoingFrame } from "../ports/command-queue.ts";
import type { StreamSession } from "./stream-session.ts";

/** A stream that has not answered for so long is stalled, and a frame without an answer is sent again. */
export const STALL_MS = 2_000;

/** The most gateways that a node may have, and its own frames, which count as gateway 0's. */
const MAX_GATEWAYS = 1 << 10;
const OWN = 0;

/** A frame without commands, under an origin of its own. */
export type EmptyFrame = Pick<OutgoingFrame, "origin" | "bytes">;

export interface Unsettled {
  readonly frame: OutgoingFrame;
  sentMs: number;
  sends: number;
  answered: boolean;
  /** It was answered with an error that leaves open whether the stream has it. */
  doubtful: boolean;
}

export class UnsettledFrames {
  /** By their keys, in the order in which they were published. */
  readonly #frames = new Map<number, Unsettled>();
  /** Without an answer, and without a caller. */
  #orphan: Unsettled | undefined;
  #empties = 0;
  #emptySentMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly clock: Clock,
    private readonly emptyFrame: () => EmptyFrame,
  ) {}

  /** Whether a frame that was sent has no answer. */
  get waiting(): boolean {
    return this.#newestUnanswered() !== undefined;
  }

  publish(session: StreamSession, frame: OutgoingFrame): void {
    const unsettled = { frame, sentMs: 0, sends: 0, answered: false, doubtful: false };
    this.#frames.set(keyOf(frame), unsettled);
    this.#send(session, unsettled);
  }

  /** An outcome of `count` commands has come; returns whether a frame of so many was under way by that name. */
  settle(name: FrameName, count: number): boolean {
    const key = keyOf(name);
    return this.#frames.get(key)?.frame.count === count && this.#frames.delete(key);
  }

  /** It is certain that the frame was not stored. */
  forget(name: FrameName): void {
    this.#frames.delete(keyOf(name));
  }

  /** No caller waits for the frame any more. */
  abandon(name: FrameName): void {
    const key = keyOf(name);
    const unsettled = this.#frames.get(key);
    if (!unsettled) return;
    this.#frames.delete(key);
    if (!unsettled.answered) this.#orphan = unsettled;
  }

  /**
   * The stream has answered a frame; returns it if a caller waits for it. If the answer leaves `open` whether the
   * stream has it, it counts as unanswered.
   */
  answered(key: number, open: boolean): Unsettled | undefined {
    if (!open && this.#orphan && keyOf(this.#orphan.frame) === key) this.#orphan = undefined;
    const unsettled = this.#frames.get(key);
    if (!unsettled) return undefined;
    unsettled.answered = !open;
    unsettled.doubtful ||= open;
    return unsettled;
  }

  /** The stream stores: what no caller waits for need not be sent again. */
  dropOrphan(): void {
    this.#orphan = undefined;
  }

  /** A new session: its stream may have lost what another one took. */
  resendAll(session: StreamSession): void {
    if (this.#orphan) this.#send(session, this.#orphan);
    for (const unsettled of this.#frames.values()) this.#send(session, unsettled);
  }

  resendLate(session: StreamSession): void {
    const lateMs = this.#lateMs();
    if (this.#orphan && this.#orphan.sentMs < lateMs) this.#send(session, this.#orphan);
    for (const unsettled of this.#frames.values())
      if (!unsettled.answered && unsettled.sentMs < lateMs) this.#send(session, unsettled);
  }

  /** Finds out with one frame whether the stream stores: the newest without an answer, or else an empty one. */
  probe(session: StreamSession): void {
    const lateMs = this.#lateMs();
    const newest = this.#newestUnanswered();
    if (newest) {
      if (newest.sentMs < lateMs) this.#send(session, newest);
    } else if (this.#emptySentMs < lateMs) {
      this.#emptySentMs = this.clock.nowMs();
      const refused = () => {}; // only whether it is stored matters
      const frame = { gateway: OWN, number: ++this.#empties, count: 0, ...this.emptyFrame(), refused };
      this.#orphan = { frame, sentMs: 0, sends: 0, answered: false, doubtful: false };
      this.#send(session, this.#orphan);
    }
  }

  #lateMs(): number {
    return this.clock.nowMs() - STALL_MS;
  }

  #newestUnanswered(): Unsettled | undefined {
    let newest: Unsettled | undefined;
    for (const unsettled of this.#frames.values()) if (!unsettled.answered) newest = unsettled;
    return newest ?? this.#orphan;
  }

  #send(session: StreamSession, unsettled: Unsettled): void {
    const { frame } = unsettled;
    unsettled.sentMs = this.clock.nowMs();
    unsettled.sends++;
    // What another server took is too large for this one: only the outcome, or its end, is certain.
    unsettled.answered = frame.bytes.length > session.maxFrameBytes;
    if (unsettled.answered) return;
    try {
      session.publish(keyOf(frame), `${frame.origin}-${frame.number}`, frame.bytes);
    } catch (error) {
      // The connection is just closing: the frame goes again with the next session.
      session.end(`a frame could not be sent: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** A frame's name in one integer. */
function keyOf({ gateway, number }: FrameName): number {
  return number * MAX_GATEWAYS + gateway;
}
