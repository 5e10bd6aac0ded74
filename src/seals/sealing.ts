/**
 * Seals a log that a node writes, at a pace that leaves the cores to the wallet. It reads events.log and its mark by
 * itself: the engine has nothing to do with it.
 */

import { LogMark } from "../eventlog/mark.ts";
import type { DataFolder, ReadableFile } from "../ports/append-file.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogPosition } from "../ports/log-position.ts";
import { SEALS_NAME, type Seal } from "../ports/seals.ts";
import { Sealer } from "./sealer.ts";

/** How often the mark is looked at. It moves about once a second. */
const LOOK_INTERVAL_MS = 1_000;
/** What is on disk is sealed after this at the latest, however few commands it is. */
const AT_LATEST_MS = 60_000;
/** Pauses, in times of what the work before took: while the log grows, and while it does not. */
const BUSY_REST = 24;
const QUIET_REST = 1;
/** However long the work took: a disk that was slow once says nothing of the next time. */
const MAX_REST_MS = 5_000;
/** Others hold the lock for as long as one seal takes. For how long until it is told, and told again. */
const HELD_TELL_MS = 60_000;

export interface SealingParts {
  readonly folder: DataFolder;
  readonly log: ReadableFile;
  readonly clock: Clock;
  /** Locks events.seals; undefined where another process has. */
  lock(): { release(): void } | undefined;
  /** The seals were opened, and `cut` bytes of a torn line taken off. */
  opened(newest: Seal | undefined, cut: number): void;
  sealed(newest: Seal): void;
  /** For a minute the lock was not had: another process has it. Called each minute while it is so. */
  held(): void;
}

export class Sealing {
  #sealer: Sealer | undefined;
  #mark: LogPosition | undefined;
  #grows = false;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Since when the oldest command that is not sealed has been read. */
  #unsealedSinceMs = 0;
  /** Since when the lock was not had, or since it was told; undefined where it was had when last asked for. */
  #heldSinceMs: number | undefined;
  #stopping = false;
  #wake = () => {};

  constructor(
    private readonly parts: SealingParts,
    private readonly sealCommands: number,
  ) {}

  /** Seals until stop(), and then all that the mark has reached. Rejects where nothing more can be sealed. */
  async run(): Promise<void> {
    const { clock } = this.parts;
    for (;;) {
      const startedMs = clock.nowMs();
      const isLast = this.#stopping;
      const worked = await this.#work();
      if (!worked && isLast) return;
      const took = clock.nowMs() - startedMs;
      if (!this.#stopping)
        await this.#pause(
          worked ? Math.min(took * (this.#grows ? BUSY_REST : QUIET_REST), MAX_REST_MS) : LOOK_INTERVAL_MS,
        );
    }
  }

  stop(): void {
    this.#stopping = true;
    this.#lookedAtMs = Number.NEGATIVE_INFINITY;
    this.#wake();
  }

  /** Opens, reads or seals a little; false where there is nothing to do. */
  async #work(): Promise<boolean> {
    const hasLooked = this.#look();
    if (hasLooked && this.#sealer?.hasGrown()) this.#sealer = undefined;
    const sealer = this.#sealer;
    const { bytes, ledgerId } = this.#mark ?? {};
    if (bytes === undefined || ledgerId === undefined) return false;
    if (!sealer) return await this.#locked(() => this.#open());
    const nowMs = this.parts.clock.nowMs();
    const isFirst = sealer.unsealed === 0;
    if (sealer.read(bytes)) {
      if (isFirst) this.#unsealedSinceMs = nowMs;
      return true;
    }
    const isDue = this.#stopping || nowMs - this.#unsealedSinceMs >= AT_LATEST_MS;
    if (!sealer.isFull && !(sealer.unsealed > 0 && isDue)) return false;
    return await this.#locked(async () => {
      if (!(await sealer.seal(ledgerId))) this.#sealer = undefined;
      else if (sealer.newest) this.parts.sealed(sealer.newest);
    });
  }

  /** Looks at the mark, where that was long ago. */
  #look(): boolean {
    const nowMs = this.parts.clock.nowMs();
    if (nowMs - this.#lookedAtMs < LOOK_INTERVAL_MS) return false;
    this.#lookedAtMs = nowMs;
    const found = LogMark.read(this.parts.folder);
    this.#grows = found !== undefined && this.#mark !== undefined && found.bytes > this.#mark.bytes;
    this.#mark = found ?? this.#mark; // one slot is whole at any time, unless somebody has removed it
    return true;
  }

  async #open(): Promise<void> {
    const { folder, log, opened } = this.parts;
    this.#sealer = await Sealer.open(folder, log, this.sealCommands);
    opened(this.#sealer.newest, this.#sealer.cut);
  }

  /** Does it while nobody else writes seals; false, without doing it, where somebody does. */
  async #locked(run: () => Promise<void>): Promise<boolean> {
    if (!this.#sealer) this.parts.folder.open(SEALS_NAME, true)?.close(); // the lock would give it other rights
    const lock = this.parts.lock();
    if (!lock) {
      this.#tellHeld();
      return false;
    }
    this.#heldSinceMs = undefined;
    try {
      await run();
      return true;
    } finally {
      lock.release();
    }
  }

  #tellHeld(): void {
    const nowMs = this.parts.clock.nowMs();
    this.#heldSinceMs ??= nowMs;
    if (nowMs - this.#heldSinceMs < HELD_TELL_MS) return;
    this.#heldSinceMs = nowMs;
    this.parts.held();
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.parts.clock.after(delayMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
