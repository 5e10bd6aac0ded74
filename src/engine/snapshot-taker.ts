/**
 * Takes snapshots while the engine works: what only grows is appended bit by bit, the balances are copied
 * between two batches, and everything is written while the engine goes on.
 *
 * A snapshot that cannot be written harms nothing but the next start: then no more are taken.
 */

import type { LogPosition } from "../ports/log-position.ts";
import type { SnapshotCounts, SnapshotState, SnapshotStore } from "../ports/snapshots.ts";
import { countsOf, growthBetween, PART, stateAt } from "./snapshot.ts";
import type { WalletEngine } from "./wallet-engine.ts";

/** While nothing happens, a snapshot is taken already behind so many commands. */
const AT_REST_COMMANDS = 25_000;
/** And behind at least one for so many balances, for all of them are written. */
const BALANCES_A_COMMAND = 8;
/** What a snapshot takes at most: a record and two names; and what may change of a balance. */
const BYTES_A_COMMAND = 320;
const BYTES_A_BALANCE = 16;

export class SnapshotTaker {
  /** How many transactions the last snapshot has. */
  #taken: number;
  /** What is being written. */
  #writing: Promise<void> | undefined;
  /** A state was taken, and is not given back yet. */
  #pending = false;
  #failed = false;
  /** How many were written, and the place of the last one in the log. */
  written = 0;
  newest: LogPosition | undefined;

  /**
   * A snapshot behind every `everyCommands`. `mayWrite` says whether so many bytes may be written now; `failed`
   * hears why no more are taken.
   */
  constructor(
    private readonly engine: WalletEngine,
    private readonly store: SnapshotStore,
    private readonly everyCommands: number,
    private readonly mayWrite: (bytes: number) => boolean,
    private readonly failed: (error: unknown) => void,
  ) {
    this.#taken = store.kept.transactions;
  }

  /**
   * To be called between batches: the engine stands at `position`, which need not be on disk. A state that is
   * returned must be given to write() when it is.
   */
  take(position: LogPosition, atRest = false): SnapshotState | undefined {
    if (this.#writing || this.#pending || this.#failed) return undefined;
    const { size } = this.engine.records;
    const balances = this.engine.ledger.balances.all.length;
    const someAtRest = Math.max(AT_REST_COMMANDS, balances / BALANCES_A_COMMAND);
    const enough = atRest ? Math.min(someAtRest, this.everyCommands) : this.everyCommands;
    const isDue = size - this.#taken >= enough;
    const behind = size - this.store.kept.transactions;
    if (!isDue && behind < PART) return undefined;
    if (!this.mayWrite(behind * BYTES_A_COMMAND + balances * BYTES_A_BALANCE)) return undefined;
    if (isDue) {
      this.#taken = size;
      this.#pending = true;
      return stateAt(this.engine, position);
    }
    this.#begin(() => this.#append(countsOf(this.engine)));
    return undefined;
  }

  /** Writes a state that take() gave, whose place in the log is on disk. */
  write(state: SnapshotState): void {
    this.#pending = false;
    this.#begin(async () => {
      await this.#append(state.counts);
      await this.store.write(state);
      this.written++;
      this.newest = state.position;
    });
  }

  /** A last one, where there is enough for it: the engine stands at `position`, and stops. */
  async finish(position: LogPosition): Promise<void> {
    await this.#writing;
    if (position.seq !== this.engine.ledger.seq) return; // the last commit has failed
    const state = this.take(position, true);
    if (state) this.write(state);
    await this.#writing;
  }

  async #append(end: SnapshotCounts): Promise<void> {
    for (;;) {
      const growth = growthBetween(this.engine, this.store.kept, end);
      if (!growth) return;
      await this.store.append(growth);
    }
  }

  #begin(write: () => Promise<void>): void {
    this.#writing = write()
      .catch((error) => {
        this.#failed = true;
        this.failed(error);
        this.store.discard();
      })
      .catch((error) => {
        this.failed(error);
      })
      .finally(() => {
        this.#writing = undefined;
      });
  }
}
