/**
 * Sends commands to the queue and brings each caller its outcomes.
 *
 * Commands that arrive in one turn of the event loop travel as one frame; what does not fit is split, and
 * joined again. What waits is bounded by admission.ts. #frames is the only registry of frames under way on the
 * gateway's side; an outcome counts only for the frame with its number and count.
 */

import type { Outcome } from "../domain/outcomes.ts";
import type { FrameOutcome } from "../ports/changes.ts";
import type { Clock } from "../ports/clock.ts";
import type { GatewayQueue } from "../ports/command-queue.ts";
import {
  buildFrame,
  type EncodedCommands,
  FRAME_HEADER_BYTES,
  MAX_COMMAND_BYTES,
  MAX_FRAME_COMMANDS,
  splitCommands,
} from "../wire/frame.ts";
import { Admission, REQUEST_WEIGHT } from "./admission.ts";

/** How often what waits too long is looked for. */
const SWEEP_INTERVAL_MS = 50;

/**
 * With so many frames on their way, the requests of the next turns are held, until one of them comes back,
 * there are enough, or the time is over: fewer and larger frames cost every part on the way less.
 */
const FRAMES_AHEAD = 2;
const HELD_REQUESTS = 64;
const HOLD_MS = 2;

export interface SenderOptions {
  /** 128 random bits, drawn at every start. */
  readonly origin: Uint8Array;
  /** The most that may wait here, weighed as admission.ts does. */
  readonly mostWaiting: number;
  readonly outcomeTimeoutMs: number;
}

/** What became of a request's commands. */
export type Sent =
  | { readonly state: "done"; readonly outcomes: readonly Outcome[] }
  /** None of it entered the queue. */
  | { readonly state: "unavailable" | "overloaded"; readonly why: string }
  /** Nobody knows yet: it is safe to send it again under the same ids. */
  | { readonly state: "unknown"; readonly why: string };

/** A request's commands, waiting. */
interface Ticket {
  readonly outcomes: Outcome[];
  waiting: number;
  /** Parts whose end is certain, one way or the other. */
  failure: Exclude<Sent, { state: "done" }> | undefined;
  anyTaken: boolean;
  readonly resolve: (sent: Sent) => void;
}

interface Part {
  readonly ticket: Ticket;
  readonly commands: EncodedCommands;
  /** The place of its first outcome in the ticket. */
  readonly at: number;
}

interface WaitingFrame {
  readonly parts: readonly Part[];
  readonly count: number;
  readonly sentMs: number;
  /** The weight of all that waited when it was sent, itself with it. */
  readonly waited: number;
}

export class CommandSender {
  #number = 0;
  #waiting = 0;
  readonly #admission: Admission;
  readonly #frames = new Map<number, WaitingFrame>();
  #turn: Part[] = [];
  /** Takes back the end of the time for which the turn is held; undefined where it is not. */
  #release: (() => void) | undefined;
  #stopSweep: () => void = () => {};
  #idle: (() => void) | undefined;

  constructor(
    private readonly queue: GatewayQueue,
    private readonly clock: Clock,
    private readonly options: SenderOptions,
  ) {
    this.#admission = new Admission(options.mostWaiting);
    queue.subscribe({
      decided: (outcome) => this.#arrived(outcome),
      refused: (number, why) => this.#fail(number, { state: "unavailable", why }),
    });
  }

  /** How many commands wait for an outcome. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Why about so many commands would be refused behind `others`; undefined where not. */
  busy(count: number, others = 0): string | undefined {
    return this.#refusal(count + others, this.clock.nowMs());
  }

  /** Never rejects. */
  send(commands: EncodedCommands): Promise<Sent> {
    const { state } = this.queue;
    if (!state.open) return Promise.resolve({ state: "unavailable", why: state.reason });
    const nowMs = this.clock.nowMs();
    const busy = this.#refusal(commands.count, nowMs);
    if (busy !== undefined) return Promise.resolve({ state: "overloaded", why: busy });
    const maxBytes = this.queue.maxFrameBytes - FRAME_HEADER_BYTES;
    if (maxBytes < MAX_COMMAND_BYTES)
      return Promise.resolve({ state: "unavailable", why: "the queue's message size limit is too small" });
    return new Promise((resolve) => {
      const ticket: Ticket = {
        outcomes: new Array(commands.count),
        waiting: commands.count,
        failure: undefined,
        anyTaken: false,
        resolve,
      };
      if (this.#turn.length === 0) this.clock.soon(() => this.#turnEnds());
      let at = 0;
      for (const part of splitCommands(commands, maxBytes)) {
        this.#turn.push({ ticket, commands: part, at });
        this.#admission.enter(part.count + REQUEST_WEIGHT, nowMs);
        at += part.count;
      }
      this.#waiting += commands.count;
    });
  }

  /** Resolves when nothing waits any more. */
  drained(): Promise<void> {
    if (this.#waiting === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  /** Answers whoever still waits: nobody will know any more. */
  close(): void {
    this.#flush();
    for (const number of this.#frames.keys()) this.#giveUp(number, "the node stopped");
  }

  /** Why so many commands more cannot wait. */
  #refusal(count: number, nowMs: number): string | undefined {
    return this.#admission.refusal(count + REQUEST_WEIGHT, nowMs);
  }

  /** Sends what came in this turn, or holds it for a moment where frames enough are on their way. */
  #turnEnds(): void {
    if (this.#frames.size < FRAMES_AHEAD || this.#turn.length >= HELD_REQUESTS) this.#flush();
    else this.#release = this.clock.after(HOLD_MS, () => this.#flush());
  }

  /** Packs what came into frames. */
  #flush(): void {
    this.#release?.();
    this.#release = undefined;
    const turn = this.#turn;
    this.#turn = [];
    const maxBytes = this.queue.maxFrameBytes - FRAME_HEADER_BYTES;
    let parts: Part[] = [];
    let bytes = 0;
    let count = 0;
    for (const part of turn) {
      const { commands } = part;
      if (
        parts.length > 0 &&
        (bytes + commands.bytes.length > maxBytes || count + commands.count > MAX_FRAME_COMMANDS)
      ) {
        this.#publish(parts, count);
        parts = [];
        bytes = 0;
        count = 0;
      }
      parts.push(part);
      bytes += commands.bytes.length;
      count += commands.count;
    }
    if (parts.length > 0) this.#publish(parts, count);
  }

  #publish(parts: readonly Part[], count: number): void {
    const number = ++this.#number;
    if (this.#frames.size === 0) this.#sweepLater();
    const sentMs = this.clock.nowMs();
    this.#frames.set(number, { parts, count, sentMs, waited: this.#admission.waiting });
    const commands = parts.map((part) => part.commands);
    this.queue.publish(number, buildFrame(this.options.origin, number, commands));
  }

  #arrived({ number, outcomes }: FrameOutcome): void {
    const frame = this.#frames.get(number);
    if (!frame || frame.count !== outcomes.length) return;
    this.#admission.came(frame.waited, frame.sentMs, this.clock.nowMs());
    this.#forget(number, frame);
    let from = 0;
    for (const { ticket, commands, at } of frame.parts) {
      for (let i = 0; i < commands.count; i++) {
        ticket.outcomes[at + i] = outcomes[from++] as Outcome;
      }
      ticket.anyTaken = true;
      this.#finish(ticket, commands.count);
    }
    if (this.#waiting === 0) this.#idle?.();
  }

  /** Nobody waits for the frame's outcome any more. */
  #giveUp(number: number, why: string): void {
    this.queue.abandon(number);
    this.#fail(number, { state: "unknown", why });
  }

  #fail(number: number, failure: Exclude<Sent, { state: "done" }>): void {
    const frame = this.#frames.get(number);
    if (!frame) return;
    this.#forget(number, frame);
    for (const { ticket, commands } of frame.parts) {
      if (!ticket.failure || failure.state === "unknown") ticket.failure = failure;
      this.#finish(ticket, commands.count);
    }
    if (this.#waiting === 0) this.#idle?.();
  }

  #forget(number: number, frame: WaitingFrame): void {
    this.#frames.delete(number);
    this.#waiting -= frame.count;
    this.#admission.leave(frame.count + frame.parts.length * REQUEST_WEIGHT);
    if (this.#frames.size === 0) this.#stopSweep();
    if (this.#release && this.#frames.size < FRAMES_AHEAD) this.#flush();
  }

  #finish(ticket: Ticket, count: number): void {
    ticket.waiting -= count;
    if (ticket.waiting > 0) return;
    const { failure, outcomes, anyTaken, resolve } = ticket;
    if (!failure) resolve({ state: "done", outcomes });
    else if (anyTaken)
      resolve({ state: "unknown", why: `the outcome of only part of the batch is known: ${failure.why}` });
    else resolve(failure);
  }

  #sweepLater(): void {
    this.#stopSweep = this.clock.after(SWEEP_INTERVAL_MS, () => {
      const before = this.clock.nowMs() - this.options.outcomeTimeoutMs;
      for (const [number, frame] of this.#frames) {
        if (frame.sentMs > before) break;
        this.#giveUp(number, `no outcome within ${this.options.outcomeTimeoutMs} ms`);
      }
      if (this.#frames.size > 0) this.#sweepLater();
    });
  }
}
