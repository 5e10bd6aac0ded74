/** A connection to the simulated server. */

import { Buffer } from "node:buffer";
import type { QueueMessage } from "../../src/ports/command-queue.ts";
import { verdictOf } from "../../src/queue/publish-errors.ts";
import type { PublishAnswer, StreamSession, StreamState } from "../../src/queue/stream-session.ts";
import { Dead } from "./disk.ts";
import type { Owner, SimulatedServer, Stored } from "./stream.ts";

const HEARTBEAT_MS = 500;

export class SimulatedSession implements StreamSession {
  readonly server = "simulated";
  readonly maxFrameBytes: number;
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
    this.maxFrameBytes = at.maxFrameBytes;
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
      if (this.at.stream) throw new Error("another node created the stream at the same time");
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
      if (this.at.stream?.lastSequence === lastSequence) this.at.publish(undefined, bytes);
    });
  }

  publish(key: number, id: string, bytes: Uint8Array): void {
    this.#alive();
    // Where it comes twice it is answered in the same way: refused, it is certainly not stored.
    let stored: Stored | "no stream" | undefined;
    this.at.send(this.owner, () => {
      if (!this.at.up || this.over) return;
      stored ??= this.at.publish(id, bytes);
      if (!stored) return;
      const answer = { key, ...answerOf(stored) };
      this.at.send(this.owner, () => {
        if (!this.over) this.answered(answer);
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
        this.end(`message ${this.#next} of the stream was skipped`);
        return undefined;
      }
      this.#next++;
      this.at.takenSequence = Math.max(this.at.takenSequence, message.sequence);
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

/** As the node hears it. */
function answerOf(stored: Stored | "no stream"): Omit<PublishAnswer, "key"> {
  if (stored === "no stream") return { refused: "no stream accepts commands" };
  if ("duplicate" in stored) return { refused: undefined, duplicate: stored.duplicate };
  const said = stored.description;
  return verdictOf(stored) === "refused" ? { refused: said } : { refused: undefined, unknown: said };
}
