/**
 * The frames that were published and have no outcome yet: sends them, and sends them again.
 *
 * A frame stays until its outcome has come or its callers have given up. Of those that no caller waits for, the
 * newest one without an answer is kept: sending it again shows when the stream stores again, and its
 * Nats-Msg-Id keeps it from being stored twice.
 */

import type { Clock } from "../ports/clock.ts";
import type { OutgoingFrame } from "../ports/command-queue.ts";
import type { StreamSession } from "./stream-session.ts";

/** A stream that has not answered for so long is stalled, and a frame without an answer is sent again. */
export const STALL_MS = 2_000;

export type EmptyFrame = Pick<OutgoingFrame, "id" | "bytes">;

export interface Unsettled {
  readonly frame: OutgoingFrame;
  sentMs: number;
  sends: number;
  answered: boolean;
  /** It was answered with an error that leaves open whether the stream has it. */
  doubtful: boolean;
}

export class UnsettledFrames {
  readonly #frames = new Map<string, Unsettled>();
  /** Without an answer, and without a caller. */
  #orphan: Unsettled | undefined;
  #emptySentMs = Number.NEGATIVE_INFINITY;

  /** `emptyFrame` makes a frame without commands, under a new id. */
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
    this.#frames.set(frame.id, unsettled);
    this.#send(session, unsettled);
  }

  /** The frame's outcome has come, or it is certain that it was not stored. */
  settle(id: string): void {
    this.#frames.delete(id);
    if (this.#orphan?.frame.id === id) this.#orphan = undefined;
  }

  /** No caller waits for the frame any more. */
  abandon(id: string): void {
    const unsettled = this.#frames.get(id);
    if (!unsettled) return;
    this.#frames.delete(id);
    if (!unsettled.answered) this.#orphan = unsettled;
  }

  /**
   * The stream has answered a frame; returns it if a caller waits for it. If the answer leaves `open` whether the
   * stream has it, it counts as unanswered.
   */
  answered(id: string, open: boolean): Unsettled | undefined {
    if (!open && this.#orphan?.frame.id === id) this.#orphan = undefined;
    const unsettled = this.#frames.get(id);
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
      const frame = { ...this.emptyFrame(), refused: () => {} }; // only whether it is stored matters
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
    unsettled.sentMs = this.clock.nowMs();
    unsettled.sends++;
    // What another server took is too large for this one: only the outcome, or its end, is certain.
    unsettled.answered = unsettled.frame.bytes.length > session.maxFrameBytes;
    if (unsettled.answered) return;
    try {
      session.publish(unsettled.frame.id, unsettled.frame.bytes);
    } catch (error) {
      // The connection is just closing: the frame goes again with the next session.
      session.end(`a frame could not be sent: ${error instanceof Error ? error.message : error}`);
    }
  }
}
