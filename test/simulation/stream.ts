/**
 * A simulated JetStream server with one stream, and the network to it: messages are delayed, lost and
 * doubled on the way; the server crashes and loses the end of its stream that was not synced.
 */

import { Buffer } from "node:buffer";
import type { QueueMessage } from "../../src/ports/command-queue.ts";
import type { PublishAnswer, StreamSession, StreamState } from "../../src/queue/stream-session.ts";
import { Dead } from "./disk.ts";
import type { Random } from "./random.ts";
import type { SimulatedTime } from "./time.ts";

export interface NetworkFaults {
  /** Probabilities, for each message. */
  lost: number;
  doubled: number;
  refused: number;
  maxDelayMs: number;
}

interface Owner {
  readonly dead: boolean;
}

interface Stored extends QueueMessage {
  readonly id: string | undefined;
}

interface Stream {
  readonly metadata: Readonly<Record<string, string>>;
  readonly firstSequence: number;
  lastSequence: number;
  messages: Map<number, Stored>;
  ids: Map<string, number>;
  /** Up to where the server has synced. */
  syncedSequence: number;
}

const EPOCH_MS = 1_800_000_000_000;
const MAX_FRAME_BYTES = 400; // small, so that batches are split
const HEARTBEAT_MS = 500;
const REQUEST_TIMEOUT_MS = 2_000;

export class SimulatedServer {
  faults: NetworkFaults = { lost: 0, doubled: 0, refused: 0, maxDelayMs: 2 };
  #stream: Stream | undefined;
  #up = true;
  /** What the server's clock is wrong by. */
  #clockOffMs = 0;
  readonly #sessions = new Set<SimulatedSession>();

  constructor(
    readonly random: Random,
    readonly time: SimulatedTime,
  ) {}

  get stream(): Stream | undefined {
    return this.#stream;
  }

  set stream(stream: Stream | undefined) {
    this.#stream = stream;
  }

  get up(): boolean {
    return this.#up;
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
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, now + this.random.between(0, this.faults.maxDelayMs));
    this.time.after(owner, this.#lastArrivalMs - now, arrive);
  }
  #lastArrivalMs = 0;

  /** One that may also come twice. */
  send(owner: Owner, arrive: () => void): void {
    this.#travel(owner, arrive);
    if (this.random.chance(this.faults.doubled)) this.#travel(owner, arrive);
  }

  store(id: string | undefined, data: Uint8Array): { sequence: number } | { refused: string } {
    const stream = this.#stream;
    if (!stream) return { refused: "no stream takes commands" };
    if (this.random.chance(this.faults.refused)) return { refused: "maximum bytes exceeded" };
    const known = id === undefined ? undefined : stream.ids.get(id);
    if (known !== undefined) return { sequence: known };
    const sequence = ++stream.lastSequence;
    const at = EPOCH_MS + Math.floor(this.time.nowMs + this.#clockOffMs);
    stream.messages.set(sequence, { sequence, at, data, id });
    if (id !== undefined) stream.ids.set(id, sequence);
    for (const session of this.#sessions) session.push();
    return { sequence };
  }

  /** The server has synced its stream. */
  sync(): void {
    if (this.#stream) this.#stream.syncedSequence = this.#stream.lastSequence;
  }

  jumpClock(): void {
    this.#clockOffMs += this.random.between(-60_000, 60_000);
  }

  /** The server dies; with `loseTail` its machine too, and a part of what was not synced with it. */
  crash(loseTail: boolean): void {
    this.#up = false;
    for (const session of [...this.#sessions]) session.end("the connection failed");
    this.#sessions.clear();
    const stream = this.#stream;
    if (!stream || !loseTail) return;
    const last = this.random.between(stream.syncedSequence, stream.lastSequence);
    for (let sequence = last + 1; sequence <= stream.lastSequence; sequence++) {
      const id = stream.messages.get(sequence)?.id;
      if (id !== undefined) stream.ids.delete(id);
      stream.messages.delete(sequence);
    }
    stream.lastSequence = last;
  }

  restart(): void {
    this.#up = true;
  }

  /** Drops the messages before `sequence`. */
  purge(sequence: number): void {
    for (const held of [...(this.#stream?.messages.keys() ?? [])]) {
      if (held < sequence) this.#stream?.messages.delete(held);
    }
  }

  /** The stream is gone, as if its folder had been removed. */
  wipe(): void {
    this.#stream = undefined;
  }

  left(session: SimulatedSession): void {
    this.#sessions.delete(session);
  }
}

export class SimulatedSession implements StreamSession {
  readonly server = "simulated";
  readonly maxFrameBytes = MAX_FRAME_BYTES;
  readonly ended: Promise<string>;
  #end: (reason: string) => void = () => {};
  over = false;
  #arrived: (() => void) | undefined;
  /** What has arrived and was not taken. */
  #received: QueueMessage[] = [];
  /** What the node expects, and what the server sends next. */
  #next = 0;
  #cursor = 0;
  #consuming = false;
  #lastSignMs = 0;

  constructor(
    private readonly at: SimulatedServer,
    private readonly owner: Owner,
    private readonly answered: (answer: PublishAnswer) => void,
  ) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get waiting(): boolean {
    return !this.over && this.#received.length > 0;
  }

  end(reason: string): void {
    if (this.over) return;
    this.over = true;
    this.at.left(this);
    if (this.owner.dead) return;
    this.#end(reason);
    this.#arrived?.();
  }

  stream(): Promise<StreamState | undefined> {
    return this.#ask(() => {
      const { stream } = this.at;
      if (!stream) return undefined;
      const [first = stream.lastSequence + 1] = stream.messages.keys();
      const { metadata, lastSequence } = stream;
      return { metadata, firstSequence: first, lastSequence, fill: this.at.faults.refused > 0 ? 1 : 0 };
    });
  }

  message(sequence: number): Promise<QueueMessage | undefined> {
    return this.#ask(() => this.at.stream?.messages.get(sequence));
  }

  firstFrom(sequence: number): Promise<number | undefined> {
    return this.#ask(() => {
      const { stream } = this.at;
      for (let at = sequence; stream && at <= stream.lastSequence; at++)
        if (stream.messages.has(at)) return at;
      return undefined;
    });
  }

  create(firstSequence: number, metadata: Readonly<Record<string, string>>): Promise<void> {
    return this.#ask(() => {
      if (this.at.stream) throw new Error("another node made the stream at the same moment");
      const lastSequence = firstSequence - 1;
      this.at.stream = {
        metadata,
        firstSequence,
        lastSequence,
        messages: new Map(),
        ids: new Map(),
        syncedSequence: lastSequence,
      };
    });
  }

  remove(): Promise<void> {
    return this.#ask(() => {
      this.at.stream = undefined;
    });
  }

  publishAfter(lastSequence: number, bytes: Uint8Array): Promise<void> {
    return this.#ask(() => {
      if (this.at.stream?.lastSequence === lastSequence) this.at.store(undefined, bytes);
    });
  }

  publish(id: string, bytes: Uint8Array): void {
    this.#alive();
    this.at.send(this.owner, () => {
      if (!this.at.up || this.over) return;
      const stored = this.at.store(id, bytes);
      const refused = "refused" in stored ? stored.refused : undefined;
      this.at.send(this.owner, () => {
        if (!this.over) this.answered({ id, refused });
      });
    });
  }

  async consume(sequence: number): Promise<void> {
    await this.#ask(() => {
      this.#next = sequence;
      this.#cursor = sequence;
      this.#consuming = true;
      this.#lastSignMs = this.at.time.nowMs;
      this.#heartbeat();
    });
    this.push();
  }

  /** Sends what the stream has beyond the cursor. */
  push(): void {
    const { stream } = this.at;
    if (!this.#consuming || !stream) return;
    for (; this.#cursor <= stream.lastSequence; this.#cursor++) {
      const message = stream.messages.get(this.#cursor);
      if (!message) continue;
      this.at.send(this.owner, () => this.#receive(message));
    }
  }

  take(): QueueMessage | undefined {
    for (;;) {
      const message = this.over ? undefined : this.#received.shift();
      if (!message) return undefined;
      if (message.sequence < this.#next) continue;
      if (message.sequence > this.#next) {
        this.end(`message ${this.#next} of the stream was left out`);
        return undefined;
      }
      this.#next++;
      return message;
    }
  }

  onArrival(arrived: () => void): void {
    this.#arrived = arrived;
  }

  #receive(message: QueueMessage): void {
    if (this.over) return;
    this.#lastSignMs = this.at.time.nowMs;
    this.#received.push({ ...message, data: Buffer.from(message.data) });
    this.#arrived?.();
  }

  /** The server's sign of life, and the node's watch for it. */
  #heartbeat(): void {
    this.at.time.after(this.owner, HEARTBEAT_MS, () => {
      if (this.over) return;
      // It carries the last number sent, so a message that was lost at the end is noticed too.
      const last = this.#cursor - 1;
      this.at.send(this.owner, () => {
        this.#lastSignMs = this.at.time.nowMs;
        if (!this.over && this.#received.length === 0 && this.#next <= last) this.end("messages were lost");
      });
      if (this.at.time.nowMs - this.#lastSignMs > 4 * HEARTBEAT_MS)
        this.end("the stream's heartbeat was missed");
      else this.#heartbeat();
    });
  }

  #ask<T>(run: () => T): Promise<T> {
    return this.at.request(this.owner, () => {
      this.#alive();
      return run();
    });
  }

  #alive(): void {
    if (this.over) throw new Error("the connection is closed");
    if (this.owner.dead) throw new Dead("the process has crashed");
  }
}
