/** The snapshots of one node: which one its start goes on from, when new ones are taken, and the lines before. */

import { isDeepStrictEqual } from "node:util";
import { restore } from "../engine/snapshot.ts";
import { SnapshotTaker } from "../engine/snapshot-taker.ts";
import type { WalletEngine } from "../engine/wallet-engine.ts";
import { openingOf } from "../eventlog/lookup.ts";
import type { LogStart } from "../eventlog/reader.ts";
import { DamagedLog, LOG_NAME } from "../eventlog/recovery.ts";
import type { DataFolder } from "../ports/append-file.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { NodeLog } from "../ports/node-log.ts";
import {
  type FoundSnapshot,
  isDamageNoted,
  newestSnapshot,
  noteDamage,
  SnapshotFiles,
} from "./snapshot-files.ts";

export interface SnapshotParts {
  readonly folder: DataFolder;
  /** Where snapshots are kept; undefined where there are none. */
  readonly snapshots: DataFolder | undefined;
  /** Checks the lines of the log up to `end`; resolves with what is wrong with them. */
  checkLines(end: LogPosition): Promise<string | undefined>;
  /** Whether so many bytes may be written beside the log. */
  hasRoom(bytes: number): boolean;
}

/** What is told of them. */
export interface SnapshotProgress {
  /** Since the start. */
  readonly written: number;
  /** Whether one could not be written: then no more are taken. */
  readonly failed: boolean;
  /** Where the log stood at the newest; undefined where there is none. */
  readonly newest: LogPosition | undefined;
}

export class NodeSnapshots {
  #found: FoundSnapshot | undefined;
  #startedFrom: LogPosition | undefined;
  #taker: SnapshotTaker | undefined;
  #failed = false;
  /** Not before the lines that were not read are known to be good. */
  #mayTake = false;

  constructor(
    private readonly parts: SnapshotParts,
    private readonly engine: WalletEngine,
    private readonly log: NodeLog,
  ) {}

  /**
   * Puts the newest snapshot into the engine, which is empty; returns where the log is to be read from. None
   * where damage was found behind one: then the log is read as a whole. Throws DamagedLog where the log is
   * another one.
   */
  restore(): LogStart | undefined {
    const found = this.#newest();
    if (!found) return undefined;
    this.#checkLedger(found);
    restore(this.engine, found);
    this.#found = found;
    const { position, opened } = found.state;
    this.#startedFrom = position;
    return { position, currency: opened.currency };
  }

  get progress(): SnapshotProgress {
    const { written = 0, newest = this.#startedFrom } = this.#taker ?? {};
    return { written, failed: this.#failed, newest };
  }

  /** After the log was read. Undefined where none are taken. */
  taker(everyCommands: number, isPaused: () => boolean): SnapshotTaker | undefined {
    const { snapshots } = this.parts;
    if (!snapshots || everyCommands === 0) return undefined;
    const failed = (error: unknown) => {
      this.#failed = true;
      this.log.warn(
        { event: "snapshot_failed", error: String(error) },
        "a snapshot could not be written: no more are taken",
      );
    };
    try {
      const files = new SnapshotFiles(snapshots, this.#found);
      this.#mayTake = !this.#found;
      const mayWrite = (bytes: number) => this.#mayTake && !isPaused() && this.parts.hasRoom(bytes);
      this.#taker = new SnapshotTaker(this.engine, files, everyCommands, mayWrite, failed);
      return this.#taker;
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  /** Checks the lines that were not read at the start. Rejects with DamagedLog; the next start reads them all. */
  async checkOlderLines(): Promise<void> {
    const end = this.#found?.state.position;
    this.#found = undefined; // its parts are the engine's now
    if (!end) return;
    let damage: string | undefined;
    try {
      damage = await this.parts.checkLines(end);
    } catch (error) {
      // The thread could not check, and has reported it. No snapshot is taken, and the node serves on.
      this.log.warn(
        { event: "snapshot_failed", error: String(error) },
        "no more snapshots are taken: the lines before the newest could not be checked",
      );
      this.#failed = true;
      return;
    }
    this.#mayTake = damage === undefined;
    if (damage === undefined) return;
    if (this.parts.snapshots) await noteDamage(this.parts.snapshots, damage);
    throw new DamagedLog(damage);
  }

  #newest(): FoundSnapshot | undefined {
    const { snapshots } = this.parts;
    if (!snapshots) return undefined;
    try {
      if (isDamageNoted(snapshots)) return undefined;
      return newestSnapshot(snapshots, (path, why) =>
        this.log.warn({ event: "snapshot_skipped", path, why }, "a snapshot is skipped"),
      );
    } catch (error) {
      this.log.warn({ event: "snapshots_unreadable", error: String(error) }, "snapshots cannot be read");
      return undefined;
    }
  }

  /** The log must begin with the same event; where there is no log, recovery refuses. */
  #checkLedger({ state, name }: FoundSnapshot): void {
    const file = this.parts.folder.open(LOG_NAME, false);
    const opening = file && openingOf(file);
    file?.close();
    if (opening && !isDeepStrictEqual(opening, state.opened))
      throw new DamagedLog(`the snapshot ${name} belongs to another ledger than the log`);
  }
}
