/**
 * Writes one partition of one topic, whenever this node leads it.
 *
 * It stands by until the lock is free and its own source holds what was written last; then it leads: batch
 * after batch, each one transaction that the fence ends. Whatever goes wrong ends the tenure: both
 * connections are closed, the lock is given back where that is possible, and after a pause it stands by
 * again. So after any doubt about a COMMIT it is the next tenure that reads commit_offset, under a new token.
 * A source that is cut off leaves the lock to others, as soon as all that it has is written. A divergence halts
 * it: it writes nothing until the partition was rebuilt, which the row of the lock tells by another generation.
 * Another token or position tells nothing: other nodes, which may find the same divergence, change them too.
 */

import { BatchConsumer } from "../batching/batch-consumer.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogFacts, NodeLog, Report } from "../ports/node-log.ts";
import { type SqlConnect, type SqlConnection, SqlError } from "../ports/sql-connection.ts";
import areYouThere from "./are-you-there.sql" with { type: "text" };
import { type ChangeWriter, Divergence, type Topic } from "./balance-changes.ts";
import type { ChangeSet, ChangeSource, ChangeStream } from "./change-source.ts";
import { Deposed, heartbeatMs, type LeaderLock, type Lease, type LockState } from "./leadership.ts";
import { type Pace, paceOf } from "./pace.ts";

export interface PartitionWriterParts {
  readonly connect: SqlConnect;
  readonly lock: (connection: SqlConnection) => LeaderLock;
  readonly source: ChangeSource;
  readonly writer: ChangeWriter;
  readonly clock: Clock;
  /** What happened, for the node's log. */
  readonly report: Report;
}

export interface PartitionWriterSettings {
  readonly topic: Topic;
  readonly partition: number;
  readonly leaseMs: number;
}

type WriterState =
  | { readonly is: "away"; readonly why: string }
  | { readonly is: "standing by" }
  | { readonly is: "leading"; readonly token: bigint }
  /** Until a rebuild: what the database holds is not what this source says. */
  | { readonly is: "halted"; readonly why: string };

/** How far a partition is written, as far as its writer here knows. */
export interface PartitionProgress {
  readonly topic: Topic;
  readonly partition: number;
  readonly is: WriterState["is"];
  /** Why it is away or halted. */
  readonly why: string | undefined;
  /** In events (ledger) or messages (changes); undefined where the database was not reached yet. */
  readonly lag: number | undefined;
}

const LONG_POLL_MS = 1_000;
const BATCHING_DELAY_MS = 30;
const MAX_BATCH_WAIT_MS = 30;
/** The server ends statements and transactions well before a lease, as a part of it. */
const TIMEOUT_PART_OF_LEASE = 2 / 3;
/** The pause after something went wrong; it doubles. */
export const FIRST_BACKOFF_MS = 100;
export const MAX_BACKOFF_MS = 5_000;
/** How often a halted writer looks whether the database was rebuilt. */
const HALTED_LOOK_MS = 2_000;

export class PartitionWriter {
  #state: WriterState = { is: "away", why: "not connected yet" };
  /** What is committed, as far as this node knows. */
  #offset: number | undefined;
  /** What the partition's generation was when it was last looked at. */
  #generation: string | undefined;
  #stopping = false;
  #wake: () => void = () => {};
  #backoffMs = FIRST_BACKOFF_MS;
  #closeStream: () => void = () => {};

  constructor(
    private readonly parts: PartitionWriterParts,
    private readonly settings: PartitionWriterSettings,
  ) {}

  get progress(): PartitionProgress {
    const { topic, partition } = this.settings;
    const lag = this.#offset === undefined ? undefined : this.parts.source.lag(this.#offset);
    const why = "why" in this.#state ? this.#state.why : undefined;
    return { topic, partition, is: this.#state.is, why, lag };
  }

  /** Resolves after stop(). */
  async run(): Promise<void> {
    while (!this.#stopping) {
      try {
        await this.#stand();
      } catch (error) {
        if (error instanceof Divergence) {
          await this.#halt(error.message);
          continue;
        }
        const why = error instanceof Error ? error.message : String(error);
        this.#state = { is: "away", why };
        if (this.#stopping) return;
        const facts = { event: "postgres_waiting", reason: why, retryMs: this.#backoffMs } as const;
        this.#report("warn", "the PostgreSQL writer retries", facts);
        await this.#pause(this.#backoffMs);
        this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
      }
    }
  }

  /** Finishes the batch that is under way and gives the lock back; run() resolves. */
  stop(): void {
    this.#stopping = true;
    this.#closeStream();
    this.#wake();
  }

  /** Resolves when the partition was rebuilt since it was judged, or after stop(). */
  async #halt(reason: string): Promise<void> {
    const judged = this.#generation;
    this.#state = { is: "halted", why: reason };
    this.#report("error", "the PostgreSQL writer has halted", { event: "postgres_halted", reason });
    while (this.#generation === judged) {
      await this.#pause(HALTED_LOOK_MS);
      if (this.#stopping) return;
      await this.#lookOnce().catch((error) => {
        // A database that is away or has no tables is not rebuilt; the halt was reported.
        if (!(error instanceof SqlError)) throw error;
      });
    }
    this.#backoffMs = FIRST_BACKOFF_MS;
    this.#report("info", "the database was rebuilt: the PostgreSQL writer resumes", {
      event: "postgres_resumed",
    });
  }

  async #lookOnce(): Promise<void> {
    const connection = await this.#connect("lock");
    try {
      await this.#look(this.parts.lock(connection));
    } finally {
      await connection.close();
    }
  }

  async #look(lock: LeaderLock): Promise<LockState> {
    const state = await lock.look();
    this.#offset = state.position.offset;
    this.#generation = state.generation;
    return state;
  }

  /** Stands by on two new connections; leads once at most. */
  async #stand(): Promise<void> {
    const locking = await this.#connect("lock");
    try {
      const writing = await this.#connect("writer");
      try {
        const lock = this.parts.lock(locking);
        this.#state = { is: "standing by" };
        let known: string | null = null;
        while (!this.#stopping) {
          await writing.query(areYouThere); // it is idle: nothing else would tell that it is over
          const { free, position, topicOffset } = await this.#look(lock);
          const { source } = this.parts;
          const mayLead = free && !source.isCutOff;
          // Also of what another leads: whose ledger it is must not come out only when that one has gone.
          const holds =
            (mayLead || position.ledgerId !== known) && (await source.holds(position, topicOffset));
          if (holds) known = position.ledgerId;
          if (mayLead && holds) {
            const lease = await lock.take(writing);
            if (lease) {
              await this.#lead(lease, writing);
              return;
            }
          }
          this.#backoffMs = FIRST_BACKOFF_MS;
          await this.#pause(heartbeatMs(this.settings.leaseMs));
        }
      } finally {
        await writing.close();
      }
    } finally {
      await locking.close();
    }
  }

  async #lead(lease: Lease, writing: SqlConnection): Promise<void> {
    const { source, writer } = this.parts;
    this.#report("info", "acquired leadership", {
      event: "postgres_leading",
      token: String(lease.tenure.token),
      offset: lease.position.offset,
    });
    try {
      await writer.prepare(writing, lease.tenure);
      const stream = await source.open(lease.position);
      this.#closeStream = () => stream.close();
      void lease.lost.then(async () => {
        stream.close();
        await writing.close();
      });
      try {
        await this.#writeAll(lease, writing, stream);
      } finally {
        stream.close();
        this.#closeStream = () => {};
      }
    } catch (error) {
      // What a deposed leader reads is its heir's work: only where nobody else has written it is divergence.
      if (!(error instanceof Divergence)) throw error;
      await writing.close();
      if (await lease.isCurrent()) throw error;
      throw new Deposed("another node has acquired the lock");
    } finally {
      await writing.close();
      await lease.release().catch((error) =>
        this.#report("warn", "the lock could not be released", {
          event: "postgres_lock_not_released",
          error: String(error),
        }),
      );
      this.#report("info", "lost leadership", {
        event: "postgres_leadership_lost",
        offset: lease.position.offset,
      });
    }
  }

  async #writeAll(lease: Lease, writing: SqlConnection, stream: ChangeStream): Promise<void> {
    const { clock, writer, source } = this.parts;
    let before: { readonly lag: number; readonly pace: Pace } | undefined;
    while (!this.#stopping) {
      const { offset } = lease.position;
      this.#offset = offset;
      this.#state = { is: "leading", token: lease.tenure.token };
      const lag = source.lag(offset) ?? 0;
      const pace = paceOf(lag, before);
      before = { lag, pace };
      const batch = await this.#next(stream, pace);
      const startedMs = clock.nowMs();
      lease.assertHeld();
      if (stream.over !== undefined && !this.#stopping) throw new Error(stream.over);
      const last = batch.at(-1);
      if (!last) {
        if (source.isCutOff) throw new Error("this node has no queue: another node may lead");
        continue;
      }
      await writing.run("BEGIN");
      const changes = batch.flatMap((set) => set.changes);
      await writer.write(writing, lease.tenure, changes);
      await lease.commit(last.end);
      stream.committed(last.end.offset);
      this.#backoffMs = FIRST_BACKOFF_MS;
      await this.#pause((clock.nowMs() - startedMs) * pace.rest);
    }
  }

  #next(stream: ChangeStream, { batchSize }: Pace): Promise<readonly ChangeSet[]> {
    const consumer = new BatchConsumer<ChangeSet>(
      stream,
      {
        batchSize,
        maxReadTimeoutMs: LONG_POLL_MS,
        batchingDelayMs: BATCHING_DELAY_MS,
        maxBatchWaitMs: MAX_BATCH_WAIT_MS,
        sizeOf: ({ changes }) => Math.max(1, changes.length),
      },
      this.parts.clock,
    );
    return consumer.next();
  }

  #connect(what: string): Promise<SqlConnection> {
    const { topic, partition, leaseMs } = this.settings;
    return this.parts.connect({
      applicationName: `coffer ${what} ${topic}/${partition}`,
      timeoutMs: Math.floor(leaseMs * TIMEOUT_PART_OF_LEASE),
    });
  }

  #report(level: keyof NodeLog, message: string, facts: LogFacts): void {
    const { topic, partition } = this.settings;
    this.parts.report(level, message, { topic, partition, ...facts });
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#stopping || delayMs <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.parts.clock.after(delayMs, resolve);
    this.#wake = resolve;
    await promise;
    cancel();
  }
}
