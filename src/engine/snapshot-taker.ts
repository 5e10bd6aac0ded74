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

export class SnapshotTaker {
  /** How many transactions the last snapshot has. */
  #taken: number;
  /** What is being written. */
  #writing: Promise<void> | undefined;
  /** A state was taken, and is not given back yet. */
  #pending = false;
  #failed = false;

  /** A snapshot behind every `everyCommands`; `failed` hears why no more are taken. */
  constructor(
    private readonly engine: WalletEngine,
    private readonly store: SnapshotStore,
    private readonly everyCommands: number,
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
    const enough = atRest ? Math.min(AT_REST_COMMANDS, this.everyCommands) : this.everyCommands;
    if (size - this.#taken >= enough) {
      this.#taken = size;
      this.#pending = true;
      return stateAt(this.engine, position);
    }
    if (size - this.store.kept.transactions >= PART) this.#begin(() => this.#append(countsOf(this.engine)));
    return undefined;
  }

  /** Writes a state that take() gave, whose place in the log is on disk. */
  write(state: SnapshotState): void {
    this.#pending = false;
    this.#begin(async () => {
      await this.#append(state.counts);
      await this.store.write(state);
    });
  }

  /** A last one, where there is enough for it: the engine stands at `position`, and stops. */
  async finish(position: LogPosition): Promise<void> {
    await this.#writing;
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
      })
      .finally(() => {
        this.#writing = undefined;
      });
  }
}
