/**
 * Topic `ledger`: what the commands of this node's own log do to the balances of one partition.
 *
 * Only what is on disk is read, and only after a command that the log holds with its crc: whatever
 * database is written from here, this log says the same up to that place.
 */

import { postingsOf, type WalletEvent } from "../domain/event-table.ts";
import type { LedgerOpened } from "../domain/events.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogFeed, LogFollower, LoggedCommand } from "../ports/log-feed.ts";
import { crcText, type LogPosition } from "../ports/log-position.ts";
import { type BalanceChange, Divergence } from "./balance-changes.ts";
import type { ChangeSet, ChangeSource, ChangeStream } from "./change-source.ts";
import type { CommitPosition } from "./leadership.ts";
import { partitionOf } from "./partition-of.ts";

export class LedgerSource implements ChangeSource {
  constructor(
    private readonly feed: LogFeed,
    private readonly clock: Clock,
    private readonly partition: number,
    private readonly partitions: number,
    private readonly cutOff: () => boolean = () => false,
  ) {}

  get isCutOff(): boolean {
    return this.cutOff();
  }

  async holds(position: CommitPosition): Promise<boolean> {
    return this.#endAt(position) !== undefined;
  }

  async open(after: CommitPosition): Promise<ChangeStream> {
    const end = this.#endAt(after);
    if (!end) throw new TypeError(`the log does not reach ${after.offset}`);
    return new LedgerStream(this.feed, end, this.clock, (account) => this.#isOurs(account));
  }

  lag(offset: number): number {
    return Math.max(0, this.feed.durable.seq - offset);
  }

  #isOurs(account: string): boolean {
    return partitionOf(account, this.partitions) === this.partition;
  }

  /** Undefined where the log does not reach so far yet. Throws Divergence where it says something else there. */
  #endAt({ offset, crc, ledgerId }: CommitPosition): LogPosition | undefined {
    const { durable } = this.feed;
    if (durable.ledgerId === undefined) return undefined;
    if (ledgerId !== null && ledgerId !== durable.ledgerId) {
      throw new Divergence(
        `the database belongs to ledger ${ledgerId}, but this directory to ${durable.ledgerId}`,
      );
    }
    if (durable.seq < offset) return undefined;
    const end = this.feed.positionAt(offset);
    const here = end ? crcText(end.crc) : "no command that ends at that position";
    if (!end || here !== crc) {
      throw new Divergence(`the database has crc ${crc} at seq ${offset}, but the log has ${here}`);
    }
    return end;
  }
}

class LedgerStream implements ChangeStream {
  over: string | undefined;
  readonly #follower: LogFollower;
  #commands: readonly LoggedCommand[] = [];
  #next = 0;
  #wake: () => void = () => {};

  constructor(
    private readonly feed: LogFeed,
    after: LogPosition,
    private readonly clock: Clock,
    private readonly isOurs: (account: string) => boolean,
  ) {
    this.#follower = feed.follow(after);
  }

  committed(): void {} // the log is kept

  take(): ChangeSet | undefined {
    if (!this.#isThere()) return undefined;
    const command = this.#commands[this.#next++] as LoggedCommand;
    const { seq, crc, ledgerId = null } = command.end;
    return {
      changes: changesOf(command).filter(({ account }) => this.isOurs(account)),
      end: { offset: seq, crc: crcText(crc), ledgerId },
    };
  }

  async wait(timeoutMs: number): Promise<boolean> {
    if (this.over !== undefined) return false;
    if (this.#isThere()) return true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.clock.after(timeoutMs, resolve);
    const forget = this.feed.onGrowth(resolve);
    this.#wake = resolve;
    await promise;
    cancel();
    forget();
    return this.#isThere();
  }

  close(): void {
    this.over ??= "closed";
    this.#wake();
  }

  #isThere(): boolean {
    if (this.over !== undefined) return false;
    if (this.#next === this.#commands.length) {
      this.#commands = this.#follower.next();
      this.#next = 0;
    }
    return this.#next < this.#commands.length;
  }
}

/** What a command's events do to balances, in their order. */
export function changesOf({ events, end }: LoggedCommand): BalanceChange[] {
  const changes: BalanceChange[] = [];
  let seq = end.seq - events.length;
  for (const event of events) {
    seq++;
    for (const { account, currency, available, frozen } of postingsOf(event)) {
      changes.push({
        offset: seq,
        eventId: (event as Exclude<WalletEvent, LedgerOpened>).transaction_id,
        account,
        currency,
        availableDelta: BigInt(available),
        frozenDelta: BigInt(frozen),
        atMs: end.at,
      });
    }
  }
  return changes;
}
