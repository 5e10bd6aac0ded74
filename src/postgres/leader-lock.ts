/**
 * The leader lock of one partition: a row of partition_leader_locks.
 *
 * A lease counts by two clocks. Others judge it by the database's. Its holder judges it by a monotonic clock
 * of its own, from before the moment at which the renewing statement was sent: so the holder always gives up
 * first. What a holder still sends after that, because it was stopped in between, fails at the fence: the
 * update of commit_offset under its token, in the same transaction and the same message as the COMMIT.
 */

import type { Clock } from "../ports/clock.ts";
import { type SqlConnection, SqlError } from "../ports/sql-connection.ts";
import type { Topic } from "./balance-changes.ts";
import commitUnderFence from "./commit.sql" with { type: "text" };
import {
  type CommitPosition,
  Deposed,
  heartbeatMs,
  type LeaderLock,
  type Lease,
  type LockState,
} from "./leadership.ts";
import look from "./look.sql" with { type: "text" };
import release from "./release.sql" with { type: "text" };
import renew from "./renew.sql" with { type: "text" };
import take from "./take.sql" with { type: "text" };

export interface LeaderLockSettings {
  readonly topic: Topic;
  readonly partition: number;
  /** This node's name among those that may lead. */
  readonly serviceId: string;
  readonly leaseMs: number;
}

/** What the fence raises. */
const TENURE_IS_OVER = "CF001";
const CRC = /^[0-9a-f]{8}$/;

interface LockRow {
  readonly fencing_token: bigint;
  readonly commit_offset: bigint;
  readonly crc: string;
  readonly ledger_id: string | null;
}

interface LookRow {
  readonly free: boolean;
  readonly topic_offset: bigint;
  readonly generation: string;
}

export class PostgresLeaderLock implements LeaderLock {
  /** `connection` is the lock's own, so that a heartbeat never waits for a batch. */
  constructor(
    private readonly connection: SqlConnection,
    private readonly clock: Clock,
    private readonly settings: LeaderLockSettings,
  ) {}

  async look(): Promise<LockState> {
    const { topic, partition } = this.settings;
    const [row] = await this.connection.query<LockRow & LookRow>(look, [topic, partition]);
    if (!row) throw new Error(`the partition ${topic}/${partition} does not exist`);
    const { free, topic_offset, generation } = row;
    return { free, position: positionOf(row), topicOffset: Number(topic_offset), generation };
  }

  async take(writing: SqlConnection): Promise<Lease | undefined> {
    const { topic, partition, serviceId, leaseMs } = this.settings;
    const sentMs = this.clock.nowMs();
    const [row] = await this.connection.query<LockRow>(take, [
      topic,
      partition,
      serviceId,
      writing.backendPid,
      leaseMs,
    ]);
    if (!row) return undefined;
    return new HeldLease(this.connection, writing, this.clock, this.settings, row, sentMs);
  }
}

class HeldLease implements Lease {
  readonly tenure;
  position: CommitPosition;
  readonly lost: Promise<string>;
  readonly #lose: (why: string) => void;
  #over: string | undefined;
  /** Until then, by our own clock, nobody else can have taken it. */
  #heldUntilMs: number;
  #cancelHeartbeat: () => void = () => {};
  #cancelExpiry: () => void = () => {};

  constructor(
    private readonly connection: SqlConnection,
    private readonly writing: SqlConnection,
    private readonly clock: Clock,
    private readonly settings: LeaderLockSettings,
    row: LockRow,
    sentMs: number,
  ) {
    const { topic, partition, leaseMs } = settings;
    this.tenure = { topic, partition, token: row.fencing_token };
    this.position = positionOf(row);
    const { promise, resolve } = Promise.withResolvers<string>();
    this.lost = promise;
    this.#lose = resolve;
    this.#heldUntilMs = sentMs + leaseMs;
    this.#expireLater();
    this.#beatLater();
    void connection.ended.then((why) => this.#end(`the connection of the lock was closed: ${why}`));
    void writing.ended.then((why) => this.#end(`the connection of the writer was closed: ${why}`));
  }

  assertHeld(): void {
    // Asked of the clock itself: after a stop of the process the timers come later than what was under way.
    if (this.clock.nowMs() >= this.#heldUntilMs) this.#end("the lease could not be renewed in time");
    if (this.#over !== undefined) throw new Deposed(this.#over);
  }

  async commit(to: CommitPosition): Promise<void> {
    this.assertHeld();
    try {
      await this.writing.run(this.#commitText(to));
    } catch (error) {
      if (!(error instanceof SqlError) || error.state !== TENURE_IS_OVER) throw error;
      this.#end(error.message);
      throw new Deposed(error.message);
    }
    this.position = to;
  }

  async isCurrent(): Promise<boolean> {
    const { topic, partition, token } = this.tenure;
    const [row] = await this.connection.query<LockRow>(look, [topic, partition]);
    return row?.fencing_token === token && Number(row.commit_offset) === this.position.offset;
  }

  async release(): Promise<void> {
    this.#end("released");
    const { topic, partition, token } = this.tenure;
    await this.connection.query(release, [topic, partition, token]);
  }

  #commitText({ offset, crc, ledgerId }: CommitPosition): string {
    const { topic, partition, token } = this.tenure;
    const from = this.position.offset;
    if (!Number.isSafeInteger(offset) || offset < from || !CRC.test(crc))
      throw new TypeError(`no place to commit: ${offset}, ${crc}`);
    if (ledgerId !== null && !/^[0-9a-f-]{36}$/.test(ledgerId)) throw new TypeError(`no id: ${ledgerId}`);
    const values: Readonly<Record<string, string>> = {
      topic: `'${topic}'`,
      partition: String(partition),
      token: String(token),
      from: String(from),
      to: String(offset),
      crc: `'${crc}'`,
      ledger_id: ledgerId === null ? "NULL" : `'${ledgerId}'`,
    };
    return commitUnderFence.replaceAll(/:(\w+)/g, (_, name: string) => values[name] ?? "");
  }

  #beatLater(): void {
    this.#cancelHeartbeat = this.clock.after(heartbeatMs(this.settings.leaseMs), () => {
      this.#beat().catch((error) => this.#beatFailed(error));
    });
  }

  async #beat(): Promise<void> {
    const { leaseMs } = this.settings;
    const { topic, partition, token } = this.tenure;
    const sentMs = this.clock.nowMs();
    const held = await this.connection.query(renew, [topic, partition, token, leaseMs]);
    if (this.#over !== undefined) return;
    if (held.length === 0) {
      this.#end("another node has acquired the lock");
      return;
    }
    this.#heldUntilMs = sentMs + leaseMs;
    this.#expireLater();
    this.#beatLater();
  }

  /** The lease may still be renewed, unless its time is up. */
  #beatFailed(error: unknown): void {
    if (this.#over !== undefined) return;
    if (error instanceof SqlError) this.#beatLater();
    else this.#end(`the heartbeat failed: ${error instanceof Error ? error.message : error}`);
  }

  #expireLater(): void {
    this.#cancelExpiry();
    this.#cancelExpiry = this.clock.after(Math.max(0, this.#heldUntilMs - this.clock.nowMs()), () =>
      this.#end("the lease could not be renewed in time"),
    );
  }

  #end(why: string): void {
    if (this.#over !== undefined) return;
    this.#over = why;
    this.#cancelHeartbeat();
    this.#cancelExpiry();
    this.#lose(why);
  }
}

function positionOf({ commit_offset, crc, ledger_id }: LockRow): CommitPosition {
  const offset = Number(commit_offset);
  if (!Number.isSafeInteger(offset)) throw new RangeError(`commit_offset ${commit_offset} is too large`);
  return { offset, crc, ledgerId: ledger_id };
}
