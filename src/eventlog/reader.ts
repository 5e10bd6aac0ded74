/**
 * Reads events.log from its beginning and checks it: every line, seq and crc.
 *
 * A command is committed if and only if its last line is whole and its crc continues the one before it.
 * Reading ends at the first place where that is not so: a break.
 */

import { crc32 } from "node:zlib";
import { imbalance } from "../domain/apply.ts";
import type { WalletEvent } from "../domain/events.ts";
import type { Currency } from "../domain/names.ts";
import type { ReadableFile } from "../ports/append-file.ts";
import type { LoggedCommand } from "../ports/log-feed.ts";
import { commandText, crcText, EMPTY_LOG, type LogPosition } from "../ports/log-position.ts";
import type { LoggedTransfers } from "../ports/logged-transfers.ts";
import { readFastLine } from "./fast-line.ts";
import { BadLine, type Line, type LineEnd, parseLine } from "./line.ts";
import { TransferLines } from "./transfer-lines.ts";

/** Hears of every committed command, in order: each in one of two ways. */
export interface LogVisitor {
  /** How many bytes of the log there are to read, before everything else. */
  readonly begins?: ((bytes: number) => void) | undefined;
  /** A BadLine that is thrown here says that the command cannot be; every other error ends the reading. */
  command(command: LoggedCommand): void;
  /**
   * The short way of most transfers. With it other plain lines are read without JSON.parse too; without it
   * line.ts, the specification, reads every line. Returns how many of the transfers it has taken, from the
   * first on. It has changed nothing for the next one, which cannot be, or is not plain: that one comes to
   * command().
   */
  readonly transfers?: ((transfers: LoggedTransfers) => number) | undefined;
}

/** Where a log stops being one. */
export interface LogBreak {
  /** The line, from 1, and its first byte's offset. */
  readonly line: number;
  readonly offset: number;
  readonly expected: string;
}

export interface LogReading {
  /** The end of the last committed command before the break. */
  readonly position: LogPosition;
  /** The file's length in bytes. */
  readonly size: number;
  /**
   * Undefined where the whole file is committed commands. `committed` where the crc of the command that has
   * the break fits: it was not torn, but it says what cannot be read, or what cannot be.
   */
  readonly break: (LogBreak & { readonly committed: boolean }) | undefined;
}

/** A log is read in pieces of so much; a smaller one in one piece. */
const CHUNK_BYTES = 1 << 20;
const MIN_CHUNK_BYTES = 1 << 12;
/** No command's lines are longer than this; a longer run without a line's or a command's end is a break. */
export const MAX_COMMAND_LINES_BYTES = 16 << 20;
const NEWLINE = 10;
const COMMA = 44;
const CRC_TAIL = /^,"crc":"([0-9a-f]{8})"\}$/;
const CRC_TAIL_LENGTH = ',"crc":"00000000"}'.length;

/** The end of a command, and the default currency of its ledger: reading may begin behind it. */
export interface LogStart {
  readonly position: LogPosition;
  readonly currency: Currency | undefined;
}

export const LOG_BEGIN: LogStart = { position: EMPTY_LOG, currency: undefined };

/** Tells `visitor` of every committed command; `progress` of the bytes that were read, now and then. */
export async function readLog(
  file: ReadableFile,
  visitor: LogVisitor,
  progress: (bytes: number) => void = () => {},
  after: LogStart = LOG_BEGIN,
): Promise<LogReading> {
  const size = file.size();
  visitor.begins?.(size - after.position.bytes);
  const scan = new LogScan(visitor, after);
  const left = await feed(
    file,
    after.position.bytes,
    (buffer, length) => scan.take(buffer, length),
    progress,
  );
  if (left > 0) scan.endsHere();
  return { position: scan.position, size, break: scan.break };
}

/**
 * Gives `take` the file's bytes from `start` on, in a buffer that begins with the first one that it is not
 * done with. It returns with how many it is done, or undefined to end the reading. Returns how many bytes
 * were left at the end of the file, or where `take` was given MAX_COMMAND_LINES_BYTES and wanted more.
 */
async function feed(
  file: ReadableFile,
  start: number,
  take: (buffer: Buffer, length: number) => number | undefined,
  progress: (bytes: number) => void = () => {},
): Promise<number> {
  // Of a small log in one piece, and what grows behind it meanwhile in further ones.
  const chunk = Math.min(CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, file.size() - start));
  let buffer = Buffer.allocUnsafe(2 * chunk);
  let length = 0;
  for (let at = start; length <= MAX_COMMAND_LINES_BYTES; ) {
    if (buffer.length - length < chunk) {
      const larger = Buffer.allocUnsafe(buffer.length * 2);
      buffer.copy(larger, 0, 0, length);
      buffer = larger;
    }
    const read = file.read(buffer.subarray(length, length + chunk), at + length);
    if (read === 0) break;
    length += read;
    const done = take(buffer, length);
    if (done === undefined) return 0;
    if (done > 0) buffer.copyWithin(0, done, length);
    at += done;
    length -= done;
    progress(at);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return length;
}

/** The place of the first line end from `from` on and before `length`; −1 where there is none. */
function newlineIn(buffer: Buffer, from: number, length: number): number {
  const newline = buffer.subarray(from, length).indexOf(NEWLINE);
  return newline < 0 ? -1 : from + newline;
}

/** The crc that a line says which ends before `newline`; undefined where it is not a command's last. */
function statedCrc(buffer: Buffer, lineAt: number, newline: number): number | undefined {
  const tailAt = newline - CRC_TAIL_LENGTH;
  if (tailAt < lineAt || buffer[tailAt] !== COMMA) return undefined;
  const tail = CRC_TAIL.exec(buffer.toString("latin1", tailAt, newline));
  return tail ? Number.parseInt(tail[1] as string, 16) : undefined;
}

/** Reads command by command what it is given of a log, from any command on. */
export class LogScan {
  break: LogReading["break"];
  /** Of the current command: its events, its lines before the current one, and their bytes. */
  #events: WalletEvent[] = [];
  #lines = 0;
  #scanned = 0;
  /** Bytes of it in which there is no further line end. */
  #searched = 0;
  #end: LineEnd | undefined;
  /** The first line that is not as it should be; the command's crc tells what to think of it. */
  #fault: LogBreak | undefined;

  /** Undefined where the visitor wants events only, as line.ts reads them. */
  readonly #transfers: TransferLines | undefined;

  position: LogPosition;
  #currency: Currency | undefined;

  constructor(
    private readonly visitor: LogVisitor,
    after: LogStart,
  ) {
    this.position = after.position;
    this.#currency = after.currency;
    if (visitor.transfers) this.#transfers = new TransferLines(visitor.transfers);
  }

  /**
   * Scans `buffer` up to `length`; its first byte is the first of the current command. Returns the bytes that
   * are committed; undefined at a break.
   */
  take(buffer: Buffer, length: number): number | undefined {
    let commandAt = 0;
    for (;;) {
      if (this.#scanned === 0) commandAt = this.#fastTransfers(buffer, commandAt, length);
      const lineAt = commandAt + this.#scanned;
      const newline = newlineIn(buffer, Math.max(lineAt, commandAt + this.#searched), length);
      if (newline < 0) {
        this.#searched = length - commandAt;
        return commandAt;
      }
      this.#searched = 0;
      const stated = statedCrc(buffer, lineAt, newline);
      this.#line(buffer.toString("latin1", lineAt, newline), stated !== undefined);
      if (stated === undefined) {
        this.#lines++;
        this.#scanned = newline + 1 - commandAt;
        continue;
      }
      const crc = crc32(buffer.subarray(commandAt, newline - CRC_TAIL_LENGTH), this.position.crc);
      if (crc === stated) this.#commit(crc, newline + 1 - commandAt);
      else this.#fail(new BadLine(`"crc":"${crcText(crc)}", as computed from the bytes of this command`));
      if (this.#fault) {
        this.break = { ...this.#fault, committed: crc === stated };
        return undefined;
      }
      commandAt = newline + 1;
    }
  }

  /** The file ends within the current command. */
  endsHere(): void {
    this.#fail(new BadLine("the rest of the command"));
    if (this.#fault) this.break = { ...this.#fault, committed: false };
  }

  /** Takes the transfers that begin at `at` and go the short way; returns the place behind them. */
  #fastTransfers(buffer: Buffer, at: number, length: number): number {
    if (!this.#transfers || !this.#currency) return at;
    const { bytes } = this.position;
    this.position = this.#transfers.take(buffer, at, length, this.position);
    const taken = this.position.bytes - bytes;
    if (taken > 0) this.#searched = 0;
    return at + taken;
  }

  #line(text: string, last: boolean): void {
    if (this.#fault) return;
    try {
      const { seq, event, end } = this.#parse(text);
      const expectedSeq = this.position.seq + this.#lines + 1;
      if (seq !== expectedSeq) throw new BadLine(`"seq":${expectedSeq}`);
      if (last !== (end !== undefined)) throw new BadLine('"at", "command" and, as its last field, "crc"');
      this.#events.push(event);
      this.#end = end;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Throws BadLine, NewerFormat. */
  #parse(text: string): Line {
    const plain = this.#transfers && readFastLine(text, this.#currency);
    return plain ?? parseLine(text, this.#currency);
  }

  /** The crc fits; the command is taken unless it has a fault. */
  #commit(crc: number, bytes: number): void {
    if (this.#fault) return;
    const events = this.#events;
    const last = events[events.length - 1];
    if (!last || !this.#end) throw new TypeError("a command without lines");
    const before = this.position;
    const { at, sequence, index } = this.#end;
    const seq = before.seq + events.length;
    const ledgerId = last.type === "LedgerOpened" ? last.ledger_id : before.ledgerId;
    const position = { seq, bytes: before.bytes + bytes, sequence, index, crc, at, ledgerId };
    try {
      if (sequence < before.sequence || (sequence === before.sequence && index <= before.index))
        throw new BadLine(`a command after ${commandText(before)}`);
      if (at < before.at) throw new BadLine(`"at" of at least ${before.at}`);
      const unbalanced = imbalance(events);
      if (unbalanced) throw new BadLine(`a command whose postings add up to 0, but ${unbalanced}`);
      this.visitor.command({ events, end: position });
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (last.type === "LedgerOpened") this.#currency = last.currency;
    this.position = position;
    this.#events = [];
    this.#lines = 0;
    this.#scanned = 0;
  }

  /** Remembers a BadLine as the current line's, unless an earlier one of the command had one; throws all else. */
  #fail(error: unknown): void {
    if (!(error instanceof BadLine)) throw error;
    const line = this.position.seq + this.#lines + 1;
    this.#fault ??= { line, offset: this.position.bytes + this.#scanned, expected: error.message };
  }
}

/**
 * Whether any command after `offset` is committed, taking its predecessor's crc as it stands there. Where
 * one is, the break at `offset` is no torn end: something in the middle was damaged.
 */
export async function hasCommandAfter(file: ReadableFile, offset: number): Promise<boolean> {
  let found = false;
  /** Undefined while no command is known to begin where the buffer does. */
  let crcBefore: number | undefined;
  let scanned = 0;
  await feed(file, offset, (buffer, length) => {
    let commandAt = 0;
    for (;;) {
      const lineAt = commandAt + scanned;
      const newline = newlineIn(buffer, lineAt, length);
      if (newline < 0) break;
      scanned = newline + 1 - commandAt;
      const stated = statedCrc(buffer, lineAt, newline);
      if (stated === undefined) continue;
      const command = buffer.subarray(commandAt, newline - CRC_TAIL_LENGTH);
      if (crcBefore !== undefined && crc32(command, crcBefore) === stated) {
        found = true;
        return undefined;
      }
      crcBefore = stated;
      commandAt = newline + 1;
      scanned = 0;
    }
    if (length - commandAt >= MAX_COMMAND_LINES_BYTES) crcBefore = undefined;
    if (crcBefore !== undefined) return commandAt;
    // Of what is no command, only what may be the beginning of a crc is of interest.
    scanned = 0;
    return Math.max(commandAt, length - CRC_TAIL_LENGTH);
  });
  return found;
}
