/**
 * Watches whether the stream stores what is published, as far as its answers show.
 *
 * It is stalled when a published frame, or a question about its state, has had no answer for STALL_MS. Only a
 * frame that it stores ends that: a stream whose disk has failed, or whose replicas have no quorum, may still
 * report its state. Until then one frame is sent every STALL_MS. A stall outlives its session: the next one too
 * must store a frame first.
 *
 * Time is counted in ticks, and the event loop reads what has arrived between two of them. So a process that
 * was blocked or suspended does not take its own pause for the stream's silence.
 */

import type { Clock } from "../ports/clock.ts";
import type { StreamSession, StreamState } from "./stream-session.ts";
import { STALL_MS, type UnsettledFrames } from "./unsettled-frames.ts";

const TICK_MS = 500;
/** How often the stream's state is asked for, also when nothing else happens. */
const ASK_MS = 1_000;
/** A server hangs that has not answered for so long, or whose store has only failed. */
const HANG_MS = 10_000;

const STALL_TICKS = STALL_MS / TICK_MS;
/** The last answer came just before a question, the one after that had none. */
const SILENT_TICKS = (ASK_MS + STALL_MS) / TICK_MS;

export interface StoreWatchEvents {
  stalled(reason: string): void;
  /** The server hangs, for HANG_MS now; called at each tick until it answers. */
  hangs(): void;
}

export class StoreWatch {
  #session: StreamSession | undefined;
  /** Whether frames are sent in this session. */
  #sending = false;
  #stream: StreamState | undefined;
  #stalled: string | undefined;
  /** What the stream said to a frame that it did not store, if it has stored none since. */
  #refusal: string | undefined;
  #ticks = 0;
  /** Ticks for which frames have waited and none was stored. */
  #unstoredTicks = 0;
  /** Ticks for which frames have waited and none was answered for certain: stored, or refused by a working store. */
  #unansweredTicks = 0;
  /** Ticks since the stream answered anything. */
  #silentTicks = 0;
  /** Ticks without a connection. */
  #awayTicks = 0;
  #cancel: () => void = () => {};

  constructor(
    private readonly clock: Clock,
    private readonly unsettled: UnsettledFrames,
    private readonly events: StoreWatchEvents,
  ) {}

  start(): void {
    this.#cancel = this.clock.after(TICK_MS, () => {
      this.#tick();
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  get stalled(): boolean {
    return this.#stalled !== undefined;
  }

  /** The stream's state when it last reported it; undefined without a session. */
  get stream(): StreamState | undefined {
    return this.#stream;
  }

  /** A session has found its stream. */
  joined(session: StreamSession): void {
    this.#session = session;
    this.#silentTicks = 0;
    this.#unstoredTicks = 0;
    this.#unansweredTicks = 0;
  }

  /** Frames are sent from now on: those that were sent before first. */
  sending(session: StreamSession): void {
    this.#sending = true;
    if (!this.stalled) this.unsettled.dropOrphan();
    this.unsettled.resendAll(session);
    if (this.stalled) this.unsettled.probe(session);
  }

  left(): void {
    // A server that hangs loses its session before HANG_MS: the silence goes on.
    if (this.#sending) this.#awayTicks = this.#unanswered;
    this.#session = undefined;
    this.#sending = false;
    this.#stream = undefined;
  }

  /** The stream has stored a frame. Returns whether that ends a stall. */
  stored(): boolean {
    const ended = this.stalled;
    this.unsettled.dropOrphan();
    this.#stalled = undefined;
    this.#refusal = undefined;
    this.#unstoredTicks = 0;
    this.#unansweredTicks = 0;
    this.#silentTicks = 0;
    return ended;
  }

  /** The stream has answered a frame and did not store it, or, if `open`, may have: as a store that fails answers. */
  refused(why: string, open: boolean): void {
    this.#refusal = why;
    if (!open) this.#unansweredTicks = 0;
    this.#silentTicks = 0;
  }

  #tick(): void {
    const session = this.#session;
    this.#awayTicks = session ? 0 : this.#awayTicks + 1;
    if (session && ++this.#ticks % (ASK_MS / TICK_MS) === 0) void this.#ask(session);
    if (session && this.#sending) this.#look(session);
    const sendingTicks = this.#sending ? this.#unanswered : 0;
    if ((session ? sendingTicks : this.#awayTicks) * TICK_MS > HANG_MS) this.events.hangs();
  }

  /** For how many ticks the server of this session has not answered. */
  get #unanswered(): number {
    return Math.max(this.#unansweredTicks, this.#silentTicks - ASK_MS / TICK_MS);
  }

  async #ask(session: StreamSession): Promise<void> {
    const stream = await session.stream().catch(() => undefined); // without an answer the ticks count on
    if (!stream || this.#session !== session) return;
    this.#stream = stream;
    this.#silentTicks = 0;
  }

  #look(session: StreamSession): void {
    const waits = this.stalled || this.#refusal !== undefined || this.unsettled.waiting;
    this.#unstoredTicks = waits ? this.#unstoredTicks + 1 : 0;
    this.#unansweredTicks = waits ? this.#unansweredTicks + 1 : 0;
    this.#silentTicks++;
    if (!this.stalled) this.#judge();
    if (!this.stalled) this.unsettled.resendLate(session);
    if (this.stalled || this.#refusal !== undefined) this.unsettled.probe(session);
  }

  #judge(): void {
    if (this.#unstoredTicks > STALL_TICKS)
      this.#stalled =
        this.#refusal === undefined
          ? `no response to a frame for ${STALL_MS} ms`
          : `no frame was stored for ${STALL_MS} ms; the last response was: ${this.#refusal}`;
    else if (this.#silentTicks > SILENT_TICKS)
      this.#stalled = `no response to a request for the state of the stream for ${STALL_MS} ms`;
    if (this.#stalled !== undefined) this.events.stalled(this.#stalled);
  }
}
