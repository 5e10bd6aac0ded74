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
 * | no stream, and no partition has ever committed | made |
 * | a stream, and this partition has never committed | read from its beginning |
 * | the message at commit_offset is the one that was committed | read after it |
 * | metadata: made to go on behind an offset that is not before this one | read behind that offset |
 * | anything else | refused; if `remakeLostChanges` is the offset of the partition that has committed most, that one makes it anew, once |
 *
 * That partition does so behind its own offset and under its lock, so that nobody removes what another has
 * just made; the others wait for it. Where it finds nothing wrong, and they do, the stream is to be removed by
 * hand.
 */

import { crc32 } from "node:zlib";
import type { Clock } from "../ports/clock.ts";
import type { QueueMessage } from "../ports/command-queue.ts";
import { crcText } from "../ports/log-position.ts";
import type { Report } from "../ports/node-log.ts";
import type { NatsSession, StreamNames } from "../queue/nats-session.ts";
import { InvalidInput } from "../wire/strict-json.ts";
import { parseBalanceChange } from "./balance-change-json.ts";
import { type BalanceChange, Divergence } from "./balance-changes.ts";
import type { ChangeSet, ChangeSource, ChangeStream } from "./change-source.ts";
import type { CommitPosition } from "./leadership.ts";

export const BALANCE_CHANGES: StreamNames = {
  stream: "COFFER_BALANCE_CHANGES",
  subjects: "coffer.balance-changes.*",
};

/** The stream as it is made: it takes what some partition reads, and who publishes on another subject is told so. */
export function balanceChangesOf(partitions: number): StreamNames {
  return {
    ...BALANCE_CHANGES,
    taken: Array.from({ length: partitions }, (_, partition) => subjectOf(partition)),
  };
}

/** In the stream's metadata: what was committed when it was made anew. */
const CONTINUES_AFTER = "continues_after";
const LOOK_INTERVAL_MS = 1_000;

export interface BalanceChangeOptions {
  readonly partition: number;
  /** Recreates a stream that lost its tail, if this is the last message that any partition has committed. */
  readonly remakeLostChanges: number | undefined;
}

export class BalanceChangeSource implements ChangeSource {
  /** It has a connection of its own, and is over with it. */
  readonly isCutOff = false;
  #stream: BalanceChangeStream | undefined;
  /** What is committed, where the stream was found lost and is ours to make anew. */
  #remakeBehind: number | undefined;
  /** What was accepted at the start counts once. */
  #hasRemade = false;

  constructor(
    /** A session on the stream BALANCE_CHANGES. */
    private readonly connect: () => Promise<NatsSession>,
    private readonly options: BalanceChangeOptions,
    private readonly clock: Clock,
    private readonly report: Report,
  ) {}

  async holds(position: CommitPosition, topicOffset: number): Promise<boolean> {
    this.#remakeBehind = undefined;
    const session = await this.connect();
    try {
      const next = await firstMessage(session, position);
      if (typeof next === "number") return true;
      if (topicOffset === 0) await create(session, 0);
      else if (this.#hasRemade || this.options.remakeLostChanges !== topicOffset)
        throw new Divergence(
          `${next}; --remake-lost-changes=${topicOffset} recreates it after the last message written to PostgreSQL, without the messages it had`,
        );
      else if (position.offset < topicOffset)
        throw new Error(`${next}; the partition that is written up to ${topicOffset} must recreate it`);
      else this.#remakeBehind = topicOffset;
      return true;
    } finally {
      session.end("the stream was only inspected");
    }
  }

  async open(after: CommitPosition): Promise<ChangeStream> {
    const session = await this.connect();
    try {
      const next = await this.#next(session, after);
      const subject = subjectOf(this.options.partition);
      const stream = new BalanceChangeStream(session, subject, this.clock, (sequence, why, count) =>
        this.report("warn", "a message is not a balance change", {
          event: "change_malformed",
          subject,
          sequence,
          why,
          count,
        }),
      );
      await session.consume(next, subject);
      this.#stream = stream;
      return stream;
    } catch (error) {
      session.end("the stream could not be opened");
      throw error;
    }
  }

  /** Known only while it is read here. */
  lag(): number | undefined {
    return this.#stream?.lag;
  }

  async #next(session: NatsSession, after: CommitPosition): Promise<number> {
    const next = await firstMessage(session, after);
    if (typeof next === "number") return next;
    if (after.offset !== this.#remakeBehind) throw new Error(next);
    await session.remove();
    await create(session, after.offset);
    this.#hasRemade = true;
    this.report("warn", "the stream of balance changes is recreated", {
      event: "changes_stream_recreated",
      why: next,
      after: after.offset,
    });
    return after.offset + 1;
  }
}

/** The first message that is to be read after `offset`, or why there is none: the stream is not the one. */
async function firstMessage(session: NatsSession, { offset, crc }: CommitPosition): Promise<number | string> {
  const state = await session.stream();
  if (!state) return `the stream ${BALANCE_CHANGES.stream} does not exist`;
  if (offset === 0) return 1;
  const message = await session.message(offset);
  if (message && crcText(crc32(message.data)) === crc) return offset + 1;
  const continues = Number(state.metadata[CONTINUES_AFTER]);
  if (Number.isSafeInteger(continues) && continues >= offset) return continues + 1;
  return `message ${offset} of the stream ${BALANCE_CHANGES.stream} is not the one that was last written to PostgreSQL`;
}

async function create(session: NatsSession, after: number): Promise<void> {
  await session.create(after + 1, { [CONTINUES_AFTER]: String(after) });
}

class BalanceChangeStream implements ChangeStream {
  #over: string | undefined;
  #arrived: () => void = () => {};
  #purgedBefore = 0;
  #committed = 0;
  /** Messages that were taken since. */
  #taken = 0;
  #malformedMs = Number.NEGATIVE_INFINITY;
  /** Malformed messages since the last line about them. */
  #malformedSince = 0;
  readonly #watch: ReturnType<typeof setInterval>;

  constructor(
    private readonly session: NatsSession,
    private readonly subject: string,
    private readonly clock: Clock,
    private readonly malformed: (sequence: number, why: string, count: number) => void,
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

  /** How many messages are not committed; undefined where nothing is read any more. */
  get lag(): number | undefined {
    return this.#over === undefined ? this.#taken + this.session.behind : undefined;
  }

  committed(offset: number): void {
    this.#taken = 0;
    this.#committed = offset;
  }

  take(): ChangeSet | undefined {
    const message = this.session.take();
    if (!message) return undefined;
    this.#taken++;
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

  /** Sees that the stream is there, and drops what was committed; not the message at commit_offset itself. */
  async #look(): Promise<void> {
    const { session } = this;
    try {
      const state = await session.stream();
      if (!state) {
        session.end("the stream was deleted");
        return;
      }
      if (this.#committed <= this.#purgedBefore) return;
      const seq = this.#committed;
      await session.jsm.streams.purge(BALANCE_CHANGES.stream, { filter: this.subject, seq });
      this.#purgedBefore = seq;
    } catch (error) {
      session.end(`the stream cannot be inspected: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function subjectOf(partition: number): string {
  return BALANCE_CHANGES.subjects.replace("*", String(partition));
}
