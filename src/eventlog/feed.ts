/** The log as its followers read it: from the file itself, at any place, up to what is on disk and no further. */

import type { Currency } from "../domain/names.ts";
import type { AppendFile } from "../ports/append-file.ts";
import type { LogFeed, LogFollower, LoggedCommand } from "../ports/log-feed.ts";
import { EMPTY_LOG, type LogPosition } from "../ports/log-position.ts";
import { parseLine } from "./line.ts";
import { commandEndingAt } from "./lookup.ts";
import { LogScan, MAX_COMMAND_LINES_BYTES } from "./reader.ts";
import { everyCommand } from "./transfer-commands.ts";
import { MAX_LINES_BYTES } from "./transfer-lines.ts";

/** So much is read and parsed at a time, between two turns of the event loop. */
const CHUNK_BYTES = 64 << 10;
const NEWLINE = 10;

export class DurableLogFeed implements LogFeed {
  readonly #listeners = new Set<() => void>();

  constructor(
    private readonly file: AppendFile,
    private readonly end: () => LogPosition,
  ) {}

  get durable(): LogPosition {
    return this.end();
  }

  positionAt(seq: number): LogPosition | undefined {
    const { durable } = this;
    if (seq === 0) return EMPTY_LOG;
    if (seq === durable.seq) return durable;
    const found = commandEndingAt(this.file, durable.bytes, seq);
    return found && { ...found, ledgerId: durable.ledgerId };
  }

  follow(after: LogPosition): LogFollower {
    let given: LoggedCommand[] = [];
    const start = { position: after, currency: after.seq > 0 ? this.#currency() : undefined };
    const scan = new LogScan(
      everyCommand((command) => void given.push(command), start),
      start,
    );
    let buffer = Buffer.allocUnsafe(CHUNK_BYTES + MAX_LINES_BYTES);
    return {
      next: () => {
        given = [];
        for (;;) {
          const from = scan.position.bytes;
          const length = Math.min(buffer.length - MAX_LINES_BYTES, this.durable.bytes - from);
          if (length <= 0) return given;
          const read = this.file.read(buffer.subarray(0, length), from);
          const done = scan.take(buffer, read);
          if (done === undefined || read < length || given.length > 0) {
            if (scan.break) throw new Error(`events.log is damaged at byte ${scan.break.offset}`);
            if (read < length)
              throw new Error(`events.log is shorter than the ${from + length} bytes that were written`);
            return given;
          }
          if (buffer.length > MAX_COMMAND_LINES_BYTES)
            throw new Error(`events.log has no command at byte ${from}`);
          buffer = Buffer.allocUnsafe(buffer.length * 2);
        }
      },
    };
  }

  onGrowth(run: () => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  /** To be called when the log on disk has grown. */
  grown(): void {
    for (const run of this.#listeners) run();
  }

  /** The ledger's default currency, from the log's first line. */
  #currency(): Currency {
    const line = Buffer.allocUnsafe(CHUNK_BYTES);
    const read = this.file.read(line, 0);
    const { event } = parseLine(
      line.toString("latin1", 0, line.subarray(0, read).indexOf(NEWLINE)),
      undefined,
    );
    if (event.type !== "LedgerOpened") throw new TypeError("the log does not start with an opening");
    return event.currency;
  }
}
