/**
 * A simulated JetStream server with one stream, and the network to it: messages are delayed, lost and
 * doubled on the way; the server crashes and loses the end of its stream that was not synced, answers errors,
 * stores nothing, or stops answering anything at all.
 */

import type { QueueMessage } from "../../src/ports/command-queue.ts";
import type { PublishAnswer } from "../../src/queue/stream-session.ts";
import type { Random } from "./random.ts";
import { SimulatedSession } from "./session.ts";
import type { SimulatedTime } from "./time.ts";

export interface ServerFaults {
  /** Probabilities, for each message on its way. */
  lost: number;
  doubled: number;
  maxDelayMs: number;
  /** Probability of an error, for each message that is published. */
  refused: number;
}

export const NO_SERVER_FAULTS: Readonly<ServerFaults> = { lost: 0, doubled: 0, maxDelayMs: 1, refused: 0 };

/**
 * What the server makes of what is published. `silent`: it stores nothing and says nothing, as after a write
 * error, while everything else goes on; `hung`: everything waits, as under SIGSTOP.
 */
export type ServerState = "well" | "silent" | "hung";

/** A process at the other end of the network. */
export interface Owner {
  readonly dead: boolean;
  /** What its messages take longer, each way. */
  readonly lagMs: number;
}

/** What the server says to what was published. */
export type Stored = { readonly duplicate: boolean } | PublishError;

/** An error of JetStream. */
export interface PublishError {
  readonly err_code: number;
  readonly description: string;
}

/** Errors after which the message is not stored, and those after which it may be. */
const SURE_ERRORS: readonly PublishError[] = [
  { err_code: 10_077, description: "maximum bytes exceeded" },
  { err_code: 10_023, description: "insufficient resources" },
  { err_code: 10_167, description: "too many requests" },
];
const UNSURE_ERRORS: readonly PublishError[] = [
  { err_code: 10_077, description: "store is closed" },
  { err_code: 10_158, description: "duplicate message id is in process" },
  { err_code: 19_999, description: "an error of another version" },
];

interface StoredMessage extends QueueMessage {
  readonly id: string | undefined;
}

interface Stream {
  readonly metadata: Readonly<Record<string, string>>;
  readonly firstSequence: number;
  lastSequence: number;
  messages: Map<number, StoredMessage>;
  ids: Map<string, number>;
  /** Up to where the server has synced. */
  syncedSequence: number;
}

const EPOCH_MS = 1_800_000_000_000;
const REQUEST_TIMEOUT_MS = 2_000;
const MIN_SERVICE_MS = 10_000;
const MAX_START_MS = 500;

export class SimulatedServer {
  faults: ServerFaults = { ...NO_SERVER_FAULTS, maxDelayMs: 2 };
  stream: Stream | undefined;
  #up = true;
  #state: ServerState = "well";
  /** What has arrived at, or was about to leave, a server that hangs. */
  #held: (() => void)[] = [];
  /** What the server's clock is wrong by. */
  #clockOffMs = 0;
  readonly #sessions = new Set<SimulatedSession>();
  /** When the last message of each process arrives, each way: none overtakes another. */
  readonly #lastArrivalMs = new WeakMap<Owner, number>();
  /** The last message that any process has ever taken. */
  takenSequence = 0;
  /** Of each node, the message of the last command that it is registered with. */
  readonly registry = new Map<string, number>();

  constructor(
    readonly random: Random,
    readonly time: SimulatedTime,
    /** Small, so that batches are split, unless large ones are wanted. */
    readonly maxFrameBytes: number,
  ) {}

  get up(): boolean {
    return this.#up;
  }

  get state(): ServerState {
    return this.#state;
  }

  /** It goes on with what has waited. */
  set state(state: ServerState) {
    this.#state = state;
    if (state === "hung") return;
    const held = this.#held;
    this.#held = [];
    for (const run of held) run();
  }

  connect(owner: Owner, answered: (answer: PublishAnswer) => void): Promise<SimulatedSession> {
    return this.request(owner, () => {
      const session = new SimulatedSession(this, owner, answered);
      this.#sessions.add(session);
      return session;
    });
  }

  /** Something that is asked over the network, and answered, or not. */
  request<T>(owner: Owner, run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (owner.dead) return;
      const late = this.time.after(owner, REQUEST_TIMEOUT_MS, () => reject(new Error("timeout")));
      this.#travel(owner, () => {
        if (!this.#up) return;
        let answer: () => void;
        try {
          const value = run();
          answer = () => resolve(value);
        } catch (error) {
          answer = () => reject(error);
        }
        this.#travel(owner, () => {
          late();
          answer();
        });
      });
    });
  }

  /** A message on its way: delayed, or lost; never before one that was sent earlier. */
  #travel(owner: Owner, arrive: () => void): void {
    if (this.random.chance(this.faults.lost)) return;
    const now = this.time.nowMs;
    const delayMs = owner.lagMs + this.random.between(0, this.faults.maxDelayMs);
    const arrivalMs = Math.max(this.#lastArrivalMs.get(owner) ?? 0, now + delayMs);
    this.#lastArrivalMs.set(owner, arrivalMs);
    this.time.after(owner, arrivalMs - now, () => this.#arrive(owner, arrive));
  }

  #arrive(owner: Owner, arrive: () => void): void {
    if (this.#state !== "hung") arrive();
    else
      this.#held.push(() => {
        if (!owner.dead) arrive();
      });
  }

  /** One that may also come twice. */
  send(owner: Owner, arrive: () => void): void {
    this.#travel(owner, arrive);
    if (this.random.chance(this.faults.doubled)) this.#travel(owner, arrive);
  }

  /** Undefined for no answer. */
  publish(id: string | undefined, data: Uint8Array): Stored | "no stream" | undefined {
    if (this.#state === "silent") return undefined;
    if (!this.stream) return "no stream";
    if (!this.random.chance(this.faults.refused)) return { duplicate: !this.#store(this.stream, id, data) };
    if (this.random.chance(0.7)) return this.random.pick(SURE_ERRORS);
    if (this.random.chance(0.5)) this.#store(this.stream, id, data);
    return this.random.pick(UNSURE_ERRORS);
  }

  /** Returns false where it has the message. */
  #store(stream: Stream, id: string | undefined, data: Uint8Array): boolean {
    if (id !== undefined && stream.ids.has(id)) return false;
    const sequence = ++stream.lastSequence;
    const at = EPOCH_MS + Math.floor(this.time.nowMs + this.#clockOffMs);
    stream.messages.set(sequence, { sequence, at, data, id });
    if (id !== undefined) stream.ids.set(id, sequence);
    for (const session of this.#sessions) session.push();
    return true;
  }

  /** The server has synced its stream. */
  sync(): void {
    if (this.stream) this.stream.syncedSequence = this.stream.lastSequence;
  }

  jumpClock(): void {
    this.#clockOffMs += this.random.between(-60_000, 60_000);
  }

  /**
   * The server dies; with `loseTail` its machine too, and a part of what was not synced with it. Where nodes are
   * several, they can find out only what the registry tells them: `onlyKnownLosses` loses nothing else that
   * any of them has taken.
   */
  crash(loseTail: boolean, onlyKnownLosses = false): void {
    this.#up = false;
    this.#held = [];
    this.#state = "well";
    for (const session of [...this.#sessions]) session.end("the connection failed");
    this.#sessions.clear();
    const { stream } = this;
    if (!stream || !loseTail) return;
    const last = this.random.between(stream.syncedSequence, stream.lastSequence);
    if (onlyKnownLosses && last < this.takenSequence && last >= this.registered) return;
    for (let sequence = last + 1; sequence <= stream.lastSequence; sequence++) {
      const id = stream.messages.get(sequence)?.id;
      if (id !== undefined) stream.ids.delete(id);
      stream.messages.delete(sequence);
    }
    stream.lastSequence = last;
  }

  restart(): void {
    this.#up = true;
    this.#startedMs = this.time.nowMs;
  }
  #startedMs = 0;

  /** Its node ends it, and starts another; not one that runs for a moment only. */
  replace(): void {
    if (!this.#up || this.time.nowMs - this.#startedMs < MIN_SERVICE_MS) return;
    this.crash(false);
    this.time.after(this, this.random.between(1, MAX_START_MS), () => this.restart());
  }

  /** The last message that any node is registered with. */
  get registered(): number {
    return Math.max(0, ...this.registry.values());
  }

  /** Drops the messages that no registered node needs. */
  purge(): void {
    const before = Math.min(...this.registry.values());
    for (const held of this.stream?.messages.keys() ?? []) {
      if (held >= before) return;
      this.stream?.messages.delete(held);
    }
  }

  /** The stream is gone, as if its folder had been removed. */
  wipe(): void {
    this.stream = undefined;
  }

  left(session: SimulatedSession): void {
    this.#sessions.delete(session);
  }
}
