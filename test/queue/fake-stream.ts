/** A stream and its sessions in memory, that do nothing by themselves: tests say what is answered and when. */

import type { QueueMessage } from "../../src/ports/command-queue.ts";
import type { PublishAnswer, StreamSession, StreamState } from "../../src/queue/stream-session.ts";

export class FakeStream {
  state: StreamState | undefined;
  readonly messages = new Map<number, QueueMessage>();
  readonly sessions: FakeSession[] = [];
  maxFrameBytes = 1_000;
  /** Whether questions about its state get no answer. */
  silent = false;
  /** Everything that was asked of the stream, in order. */
  readonly asked: string[] = [];

  connect(answered: (answer: PublishAnswer) => void): FakeSession {
    const session = new FakeSession(this, answered);
    this.sessions.push(session);
    return session;
  }

  /** The session that lives. */
  get session(): FakeSession {
    const session = this.sessions.at(-1);
    if (!session || session.over) throw new Error("there is no session");
    return session;
  }

  /** Stores a message; sessions get it at arrive(). */
  store(data: string | Uint8Array): number {
    const state = this.state;
    if (!state) throw new Error("there is no stream");
    const sequence = state.lastSequence + 1;
    this.state = { ...state, firstSequence: Math.max(1, state.firstSequence), lastSequence: sequence };
    this.messages.set(sequence, { sequence, at: 1_000 + sequence, data: Buffer.from(data as Uint8Array) });
    return sequence;
  }

  /** Takes the messages out, as if someone had deleted them. */
  drop(...sequences: number[]): void {
    for (const sequence of sequences) this.messages.delete(sequence);
    if (!this.state) return;
    const { lastSequence } = this.state;
    this.state = { ...this.state, firstSequence: Math.min(lastSequence + 1, ...this.messages.keys()) };
  }
}

/** Frames go by their origins here: in these tests each has one of its own. */
export class FakeSession implements StreamSession {
  readonly server = "nowhere";
  readonly published: string[] = [];
  readonly #keys = new Map<string, number>();
  readonly ended: Promise<string>;
  over = false;
  next = 0;
  #end: (reason: string) => void = () => {};
  #arrived: () => void = () => {};

  constructor(
    private readonly fake: FakeStream,
    readonly answered: (answer: PublishAnswer) => void,
  ) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get maxFrameBytes(): number {
    return this.fake.maxFrameBytes;
  }

  end(reason: string): void {
    if (this.over) return;
    this.over = true;
    this.#end(reason);
    this.#arrived();
  }

  async stream(): Promise<StreamState | undefined> {
    this.#ask("stream");
    if (this.fake.silent) throw new Error("timeout");
    return this.fake.state;
  }

  async message(sequence: number): Promise<QueueMessage | undefined> {
    this.#ask(`message ${sequence}`);
    return this.fake.messages.get(sequence);
  }

  async firstFrom(sequence: number): Promise<number | undefined> {
    const held = [...this.fake.messages.keys()].filter((number) => number >= sequence);
    return held.length > 0 ? Math.min(...held) : undefined;
  }

  async create(firstSequence: number, metadata: Readonly<Record<string, string>>): Promise<void> {
    this.#ask(`create ${firstSequence}`);
    if (this.fake.state) throw new Error("there is a stream");
    this.fake.state = { metadata, firstSequence, lastSequence: firstSequence - 1, fill: 0 };
    this.fake.messages.clear();
  }

  async remove(): Promise<void> {
    this.#ask("remove");
    this.fake.state = undefined;
  }

  async publishAfter(lastSequence: number, bytes: Uint8Array): Promise<void> {
    this.#ask(`publish after ${lastSequence}`);
    if (this.fake.state?.lastSequence !== lastSequence) return;
    this.fake.store(bytes);
    this.arrive();
  }

  publish(key: number, id: string): void {
    const origin = id.slice(0, id.lastIndexOf("-"));
    this.#ask(`publish ${origin}`);
    this.published.push(origin);
    this.#keys.set(origin, key);
  }

  /** What the server says to a frame. */
  answer(origin: string, refused?: string, more: Pick<PublishAnswer, "unknown" | "duplicate"> = {}): void {
    this.answered({ key: this.#keys.get(origin) ?? Number.NaN, refused, ...more });
  }

  /** An error that leaves open whether the stream has the frame. */
  answerUnknown(origin: string, unknown: string): void {
    this.answer(origin, undefined, { unknown });
  }

  async consume(sequence: number): Promise<void> {
    this.#ask(`consume ${sequence}`);
    this.next = sequence;
    this.arrive();
  }

  take(): QueueMessage | undefined {
    const message = this.fake.messages.get(this.next);
    if (!this.waiting) return undefined;
    if (!message) {
      this.end(`message ${this.next} was skipped`);
      return undefined;
    }
    this.next++;
    return message;
  }

  get waiting(): boolean {
    if (this.over || this.next === 0) return false;
    return [...this.fake.messages.keys()].some((sequence) => sequence >= this.next);
  }

  onArrival(arrived: () => void): void {
    this.#arrived = arrived;
  }

  /** Whoever waits for messages looks again. */
  arrive(): void {
    this.#arrived();
  }

  #ask(what: string): void {
    if (this.over) throw new Error("the session has ended");
    this.fake.asked.push(what);
  }
}
