/**
 * Topic `changes`: balance changes of other systems, from the JetStream stream COFFER_BALANCE_CHANGES,
 * subject `coffer.balance-changes.<partition>`, in stream order.
 *
 * Before anything is read, and after every reconnect, the stream must be the one that was read up to
 * commit_offset: the message there must be as it was, or the stream's metadata must say that it was made to
 * go on behind it. Messages are purged only before it, so that it can be looked at.
 *
 * | found | done |
 * |---|---|
 * | no stream, and nothing was ever committed | made |
 * | nothing was ever committed | read from its beginning |
 * | the message at commit_offset is the one that was committed | read after it |
 * | metadata: made to go on behind an offset that is not before this one | read behind that offset |
 * | anything else | refused; where `remakeLostStream` is set, made anew behind the highest offset committed |
 */

import { crc32 } from "node:zlib";
import { type BalanceChange, Divergence } from "../ports/balance-changes.ts";
import type { ChangeSet, ChangeSource, ChangeStream } from "../ports/change-source.ts";
import type { Clock } from "../ports/clock.ts";
import type { QueueMessage } from "../ports/command-queue.ts";
import type { CommitPosition } from "../ports/leadership.ts";
import { crcText } from "../ports/log-position.ts";
import { parseBalanceChange } from "../wire/balance-change-json.ts";
import { InvalidInput } from "../wire/strict-json.ts";
import type { NatsSession, StreamNames } from "./nats-session.ts";

export const BALANCE_CHANGES: StreamNames = {
  stream: "COFFER_BALANCE_CHANGES",
  subjects: "coffer.balance-changes.*",
};
/** In the stream's metadata: what was committed when it was made anew. */
const CONTINUES_AFTER = "continues_after";
const LOOK_INTERVAL_MS = 1_000;

export interface BalanceChangeOptions {
  readonly partition: number;
  /** Makes a stream that lost its tail anew. */
  readonly remakeLostStream: boolean;
}

export class BalanceChangeSource implements ChangeSource {
  #lastSequence = 0;

  constructor(
    /** A session on the stream BALANCE_CHANGES. */
    private readonly connect: () => Promise<NatsSession>,
    private readonly options: BalanceChangeOptions,
    private readonly clock: Clock,
    private readonly report: (
      level: "info" | "warn",
      message: string,
      facts: Readonly<Record<string, unknown>>,
    ) => void,
  ) {}

  async holds(position: CommitPosition, topicOffset: number): Promise<boolean> {
    const session = await this.connect();
    try {
      await this.#next(session, position, topicOffset);
      return true;
    } finally {
      session.end("it was only looked at");
    }
  }

  async open(after: CommitPosition): Promise<ChangeStream> {
    const session = await this.connect();
    try {
      const next = await this.#next(session, after);
      const subject = subjectOf(this.options.partition);
      const stream = new BalanceChangeStream(
        session,
        subject,
        this.clock,
        (sequence, why, count) =>
          this.report("warn", "a message is not a balance change", { subject, sequence, why, count }),
        (last) => {
          this.#lastSequence = last;
        },
      );
      await session.consume(next, subject);
      return stream;
    } catch (error) {
      session.end("it could not be opened");
      throw error;
    }
  }

  lag(offset: number): number {
    return Math.max(0, this.#lastSequence - offset);
  }

  /** The first message that is to be read. Throws Divergence. Without `topicOffset` no stream is made. */
  async #next(session: NatsSession, { offset, crc }: CommitPosition, topicOffset?: number): Promise<number> {
    const state = await session.stream();
    if (offset === 0) {
      if (!state) await this.#create(session, topicOffset);
      return 1;
    }
    const message = state ? await session.message(offset) : undefined;
    if (message && crcText(crc32(message.data)) === crc) return offset + 1;
    const continues = Number(state?.metadata[CONTINUES_AFTER]);
    if (Number.isSafeInteger(continues) && continues >= offset) return continues + 1;
    const why = state
      ? `message ${offset} of the stream ${BALANCE_CHANGES.stream} is not the one that was written last`
      : `the stream ${BALANCE_CHANGES.stream} is gone`;
    if (!this.options.remakeLostStream)
      throw new Divergence(`${why}; --remake-lost-stream makes it anew, without what it held`);
    if (topicOffset === undefined) throw new Error(why);
    this.report("warn", "the stream of balance changes is made anew", { why, after: topicOffset });
    await session.remove();
    await this.#create(session, topicOffset);
    return topicOffset + 1;
  }

  async #create(session: NatsSession, topicOffset: number | undefined): Promise<void> {
    if (topicOffset === undefined) throw new Error(`the stream ${BALANCE_CHANGES.stream} is gone`);
    await session.create(topicOffset + 1, { [CONTINUES_AFTER]: String(topicOffset) });
  }
}

class BalanceChangeStream implements ChangeStream {
  #over: string | undefined;
  #arrived: () => void = () => {};
  #purgedBefore = 0;
  #committed = 0;
  #malformedMs = Number.NEGATIVE_INFINITY;
  /** Malformed messages since the last line about them. */
  #malformedSince = 0;
  readonly #watch: ReturnType<typeof setInterval>;

  constructor(
    private readonly session: NatsSession,
    private readonly subject: string,
    private readonly clock: Clock,
    private readonly malformed: (sequence: number, why: string, count: number) => void,
    /** Hears of the stream's last message. */
    private readonly looked: (lastSequence: number) => void,
  ) {
    session.onArrival(() => this.#arrived());
    this.#watch = setInterval(() => void this.#look(), LOOK_INTERVAL_MS);
    void session.ended.then((why) => {
      this.#over ??= why;
      clearInterval(this.#watch);
      this.#arrived();
    });
  }

  get over(): string | undefined {
    return this.#over;
  }

  committed(offset: number): void {
    this.#committed = offset;
  }

  take(): ChangeSet | undefined {
    const message = this.session.take();
    if (!message) return undefined;
    const crc = crcText(crc32(message.data));
    return { changes: this.#changesOf(message), end: { offset: message.sequence, crc, ledgerId: null } };
  }

  async wait(timeoutMs: number): Promise<boolean> {
    if (this.#over === undefined && !this.session.waiting) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = this.clock.after(timeoutMs, resolve);
      this.#arrived = resolve;
      await promise;
      cancel();
    }
    return this.session.waiting;
  }

  close(): void {
    this.#over ??= "closed";
    clearInterval(this.#watch);
    this.session.end("closed");
    this.#arrived();
  }

  #changesOf({ sequence, at, data }: QueueMessage): readonly BalanceChange[] {
    try {
      return [{ offset: sequence, atMs: at, ...parseBalanceChange(data) }];
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      this.#malformed(sequence, `${error.path} ${error.message}`.trim());
      return [];
    }
  }

  /** Anyone who may publish can cause these lines: so many a second and no more. */
  #malformed(sequence: number, why: string): void {
    this.#malformedSince++;
    const nowMs = this.clock.nowMs();
    if (nowMs - this.#malformedMs < LOOK_INTERVAL_MS) return;
    this.malformed(sequence, why, this.#malformedSince);
    this.#malformedMs = nowMs;
    this.#malformedSince = 0;
  }

  /** Sees how far behind we are, and drops what was committed; not the message at commit_offset itself. */
  async #look(): Promise<void> {
    const { session } = this;
    try {
      const state = await session.stream();
      if (!state) {
        session.end("the stream is gone");
        return;
      }
      this.looked(state.lastSequence);
      if (this.#committed <= this.#purgedBefore) return;
      const seq = this.#committed;
      await session.jsm.streams.purge(BALANCE_CHANGES.stream, { filter: this.subject, seq });
      this.#purgedBefore = seq;
    } catch (error) {
      session.end(`the stream cannot be looked at: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function subjectOf(partition: number): string {
  return BALANCE_CHANGES.subjects.replace("*", String(partition));
}
