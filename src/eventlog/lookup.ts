/** Finds a command in the log by bisection: it needs no index. */

import type { LedgerOpened, WalletEvent } from "../domain/events.ts";
import type { Currency } from "../domain/names.ts";
import type { ReadableFile } from "../ports/append-file.ts";
import type { LoggedCommand } from "../ports/log-feed.ts";
import { EMPTY_LOG, type LogPosition } from "../ports/log-position.ts";
import { LOG_BEGIN, LogScan } from "./reader.ts";

/** Longer than any two lines, so that a window that starts anywhere but near the end holds a command's end. */
const WINDOW_BYTES = 64 << 10;
const COMMAND_END = /"at":([0-9]+),"command":"([0-9]+)\.([0-9]+)","crc":"([0-9a-f]{8})"\}\n/g;
const SEQ = /^\{"seq":([0-9]+),/;

/** What a command's last line says. */
export interface LoggedEnd {
  readonly seq: number;
  readonly at: number;
  readonly sequence: number;
  readonly index: number;
  readonly crc: number;
  /** The bytes of the log up to the end of the command. */
  readonly bytes: number;
}

/**
 * The crc after command `sequence`.`index`, within the log's first `bytes`; undefined where no such
 * command wrote anything.
 */
export function crcAt(
  file: ReadableFile,
  bytes: number,
  sequence: number,
  index: number,
): number | undefined {
  return find(file, bytes, (end) => end.sequence - sequence || end.index - index)?.crc;
}

/** The command whose last event is `seq`, within the log's first `bytes`; undefined where none ends there. */
export function commandEndingAt(file: ReadableFile, bytes: number, seq: number): LoggedEnd | undefined {
  return find(file, bytes, (end) => end.seq - seq);
}

/** The two last commands within the log's first `bytes`, undefined where there are not so many. */
export function lastCommands(
  file: ReadableFile,
  bytes: number,
): readonly [before: LoggedEnd | undefined, last: LoggedEnd | undefined] {
  let before: LoggedEnd | undefined;
  let last: LoggedEnd | undefined;
  for (const end of ends(file, Math.max(0, bytes - WINDOW_BYTES), bytes)) {
    before = last;
    last = end;
  }
  return [before, last];
}

/** The first event of a log; undefined where it has none. */
export function openingOf(file: ReadableFile): LedgerOpened | undefined {
  let opened: LedgerOpened | undefined;
  const command = ({ events: [first] }: LoggedCommand) => {
    if (first?.type === "LedgerOpened") opened ??= first;
  };
  const lines = Buffer.allocUnsafe(WINDOW_BYTES);
  const firstLine = lines.subarray(0, file.read(lines, 0)).indexOf("\n") + 1;
  new LogScan({ command }, LOG_BEGIN).take(lines, firstLine);
  return opened;
}

/** The events of the command that ends at `position`. Throws where the log does not have it. */
export function eventsEndingAt(
  file: ReadableFile,
  position: LogPosition,
  currency: Currency | undefined,
): readonly WalletEvent[] {
  const [before] = lastCommands(file, position.bytes);
  const start = before ? { ...before, ledgerId: position.ledgerId } : EMPTY_LOG;
  const lines = Buffer.allocUnsafe(position.bytes - start.bytes);
  let events: readonly WalletEvent[] | undefined;
  const command = (read: LoggedCommand) => {
    events = read.events;
  };
  const scan = new LogScan({ command }, { position: start, currency: before ? currency : undefined });
  scan.take(lines, file.read(lines, start.bytes));
  if (!events || scan.position.crc !== position.crc)
    throw new Error(`the log has no command that ends at byte ${position.bytes}`);
  return events;
}

/** `compare` says whether a command comes before (below 0) or after (above 0) the wanted one. */
function find(file: ReadableFile, bytes: number, compare: (end: LoggedEnd) => number): LoggedEnd | undefined {
  let low = 0;
  let high = bytes;
  while (high - low > WINDOW_BYTES) {
    const middle = Math.floor((low + high) / 2);
    const first = ends(file, middle, Math.min(bytes, middle + WINDOW_BYTES)).next().value;
    if (first && compare(first) <= 0) low = middle;
    else high = middle;
  }
  for (const end of ends(file, low, Math.min(bytes, high + WINDOW_BYTES))) {
    if (compare(end) === 0) return end;
  }
  return undefined;
}

/** The commands whose last line stands in this part of the file, from its beginning to its end. */
function* ends(file: ReadableFile, from: number, to: number): Generator<LoggedEnd, undefined> {
  const window = Buffer.allocUnsafe(to - from);
  const text = window.toString("latin1", 0, file.read(window, from));
  for (const match of text.matchAll(COMMAND_END)) {
    const lineAt = text.lastIndexOf("\n", match.index) + 1;
    const seq = SEQ.exec(text.slice(lineAt, match.index));
    if (!seq) continue; // its beginning is before the window
    yield {
      seq: Number(seq[1]),
      at: Number(match[1]),
      sequence: Number(match[2]),
      index: Number(match[3]),
      crc: Number.parseInt(match[4] ?? "", 16),
      bytes: from + match.index + match[0].length,
    };
  }
}
