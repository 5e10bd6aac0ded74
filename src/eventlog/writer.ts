/**
 * Appends batches to events.log.
 *
 * commit() resolves when the bytes are on disk; nobody is answered before that. A failed write or sync is
 * final: the writer rejects everything after it, and the node stops. A sync is never tried again, for the
 * kernel may have dropped the pages that it could not write. The same holds for a file that is lost: see
 * log-files.ts.
 */

import type { WalletEvent } from "../domain/events.ts";
import type { Currency } from "../domain/names.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { LogMeasures, Observer } from "../ports/measures.ts";
import { type EncodedBatch, LogEncoder } from "./encoder.ts";
import { type LogFiles, LostFile } from "./log-files.ts";
import { writeAll } from "./write-all.ts";

/** How long the mark may stay behind a log that grows, and the files unseen; at rest it comes up to its end. */
const MARK_INTERVAL_MS = 1_000;

const nobody: Observer = { observe: () => {} };
const UNMEASURED: LogMeasures = { bytes: nobody, seconds: nobody };

export class EventLogWriter implements EventLog {
  readonly #encoder: LogEncoder;
  #durable: LogPosition;
  /** Bytes of the log, with those that a sync has still to bring to disk. */
  #written: number;
  #failure: Error | undefined;
  #committing: Promise<void> = Promise.resolve();
  #markedAtMs = Number.NEGATIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** The bytes that the mark says, or is about to. */
  #markedBytes: number;
  #marking: Promise<void> = Promise.resolve();

  /**
   * `currency` is the ledger's default, undefined before it is open. `marked` is told each position that the
   * mark has reached, but at rest, `failed` the first failure of the mark.
   */
  constructor(
    readonly files: LogFiles,
    position: LogPosition,
    currency: Currency | undefined,
    private readonly clock: Clock,
    private readonly marked: (position: LogPosition) => void,
    private readonly failed: (error: Error) => void,
    private readonly measures: LogMeasures = UNMEASURED,
  ) {
    this.#encoder = new LogEncoder(position, currency);
    this.#durable = position;
    this.#written = position.bytes;
    this.#markedBytes = files.mark.found?.bytes ?? 0;
  }

  get position(): LogPosition {
    return this.#encoder.position;
  }

  get durable(): LogPosition {
    return this.#durable;
  }

  add(events: readonly WalletEvent[], at: number, sequence: number, index: number): void {
    this.#encoder.append(events, at, sequence, index);
  }

  addTransfer(
    frame: Uint8Array,
    place: number,
    amount: number,
    at: number,
    sequence: number,
    index: number,
  ): void {
    this.#encoder.appendTransfer(frame, place, amount, at, sequence, index);
  }

  /** One write and one sync; where nothing was added, the one that is under way. */
  commit(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    const batch = this.#encoder.take();
    if (batch) this.#committing = this.#append(batch);
    return this.#committing;
  }

  async #append(batch: EncodedBatch): Promise<void> {
    if (batch.start.bytes !== this.#durable.bytes || batch.start.crc !== this.#durable.crc) {
      throw this.#fail(new Error("a batch that does not continue the log"));
    }
    const startedMs = this.clock.nowMs();
    try {
      writeAll(this.files.log, batch.lines, batch.start.bytes);
      this.#written = batch.end.bytes;
      this.files.expectLineEnd(batch.start.bytes);
      await this.files.log.sync();
      this.#durable = batch.end;
      this.look();
    } catch (error) {
      throw this.#fail(error);
    }
    const now = this.clock.nowMs();
    this.measures.bytes.observe(batch.end.bytes - batch.start.bytes);
    this.measures.seconds.observe((now - startedMs) / 1_000);
    if (now - this.#markedAtMs >= MARK_INTERVAL_MS) {
      this.#markedAtMs = now;
      this.#mark(this.marked);
    }
  }

  /** Looks after the files, once in a while. */
  look(): void {
    if (this.#failure) throw this.#failure;
    const now = this.clock.nowMs();
    if (now - this.#lookedAtMs < MARK_INTERVAL_MS) return;
    this.#lookedAtMs = now;
    try {
      this.files.look(this.#written);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /**
   * Looks after the files, and sets the mark to the end of what is on disk. Nobody is told: the queue keeps the
   * newest messages for nodes that join.
   */
  rest(): void {
    if (this.#failure) return;
    try {
      this.files.look(this.#written);
    } catch (error) {
      this.failed(this.#fail(error));
      return;
    }
    if (this.#durable.bytes > this.#markedBytes) this.#mark(() => {});
  }

  /**
   * Sets the mark to the log's end and closes the files. Nothing may be appended afterwards. Rejects with LostFile
   * and closes nothing: the open file may be all that is left.
   */
  async close(): Promise<void> {
    await this.#marking;
    if (!this.#failure)
      await this.#writeMark(this.marked).catch((error) => Promise.reject(this.#fail(error)));
    if (this.#failure instanceof LostFile) throw this.#failure;
    this.#failure ??= new Error("the log is closed");
    this.files.close();
  }

  #mark(marked: (position: LogPosition) => void): void {
    this.#markedBytes = this.#durable.bytes;
    this.#marking = this.#marking
      .then(() => this.#writeMark(marked))
      .catch((error) => this.failed(this.#fail(error)));
  }

  async #writeMark(marked: (position: LogPosition) => void): Promise<void> {
    if (this.#failure) return;
    this.files.look(this.#written);
    const position = this.#durable;
    await this.files.mark.write(position);
    marked(position);
  }

  #fail(error: unknown): Error {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    return this.#failure;
  }
}
