/**
 * Reads events.log from its beginning and checks it: every line, seq and crc.
 *
 * A command is committed if and only if its last line is whole and its crc continues the one before it.
 * Reading ends at the first place where that is not so: a break.
 */

import { crc32 } from "node:zlib";
import type { WalletEvent } from "../domain/events.ts";
import type { AppendFile } from "../ports/append-file.ts";
import { EMPTY_LOG, type LogPosition } from "../ports/log-position.ts";
import { BadLine, type CommandEnd, parseLine } from "./line.ts";

export interface LoggedCommand {
  readonly events: readonly WalletEvent[];
  /** The log's end with this command. */
  readonly end: LogPosition;
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
  /** Undefined where the whole file is committed commands. */
  readonly break: LogBreak | undefined;
}

const CHUNK_BYTES = 1 << 20;
/** No command's lines are longer than this; a longer run without a line's or a command's end is a break. */
const MAX_COMMAND_LINES_BYTES = 64 << 20;
const NEWLINE = 10;
const CRC_TAIL = /^,"crc":"([0-9a-f]{8})"\}$/;
const CRC_TAIL_LENGTH = ',"crc":"00000000"}'.length;

/**
 * Calls `visit` with every committed command, in order. An error of `visit` is the caller's word that the
 * command cannot be, where it is a BadLine; every other one is passed on.
 * `progress` is told the bytes that were read, now and then.
 */
export async function readLog(
  file: AppendFile,
  visit: (command: LoggedCommand) => void,
  progress: (bytes: number) => void = () => {},
): Promise<LogReading> {
  const size = file.size();
  const scan = new Scan(visit);
  let buffer = Buffer.allocUnsafe(2 * CHUNK_BYTES);
  let start = 0; // of the bytes in the buffer that are not part of a committed command, as an offset in the file
  let length = 0;
  for (;;) {
    if (buffer.length - length < CHUNK_BYTES) {
      const larger = Buffer.allocUnsafe(buffer.length * 2);
      buffer.copy(larger, 0, 0, length);
      buffer = larger;
    }
    const read = file.read(buffer.subarray(length, length + CHUNK_BYTES), start + length);
    if (read === 0) break;
    length += read;
    const done = scan.take(buffer, length);
    if (scan.break) return { position: scan.position, size, break: scan.break };
    buffer.copyWithin(0, done, length);
    start += done;
    length -= done;
    if (length > MAX_COMMAND_LINES_BYTES) break;
    progress(start);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return { position: scan.position, size, break: length > 0 ? scan.unfinished() : undefined };
}

class Scan {
  position: LogPosition = EMPTY_LOG;
  break: LogBreak | undefined;
  #events: WalletEvent[] = [];
  /** Bytes of the current command that were scanned for whole lines. */
  #scanned = 0;

  constructor(private readonly visit: (command: LoggedCommand) => void) {}

  /** Scans `buffer` up to `length`; its first byte is the first of the current command. Returns the bytes committed. */
  take(buffer: Buffer, length: number): number {
    let commandAt = 0;
    for (;;) {
      const lineAt = commandAt + this.#scanned;
      const newline = buffer.indexOf(NEWLINE, lineAt);
      if (newline < 0 || newline >= length) return commandAt;
      try {
        const end = this.#line(buffer, commandAt, lineAt, newline);
        this.#scanned = newline + 1 - commandAt;
        if (!end) continue;
      } catch (error) {
        if (!(error instanceof BadLine)) throw error;
        this.#fail(error.message);
        return commandAt;
      }
      commandAt = newline + 1;
      this.#scanned = 0;
    }
  }

  /** The break at the end of a file whose last command is not whole. */
  unfinished(): LogBreak {
    this.#fail("the rest of the command");
    return this.break as LogBreak;
  }

  #line(buffer: Buffer, commandAt: number, lineAt: number, newline: number): boolean {
    const text = buffer.toString("latin1", lineAt, newline);
    const { seq, event, end } = parseLine(text, this.#currency);
    const expectedSeq = this.position.seq + this.#events.length + 1;
    if (seq !== expectedSeq) throw new BadLine(`"seq":${expectedSeq}`);
    this.#events.push(event);
    if (!end) return false;
    const crc = crc32(buffer.subarray(commandAt, newline - CRC_TAIL_LENGTH), this.position.crc);
    const tail = CRC_TAIL.exec(text.slice(-CRC_TAIL_LENGTH));
    if (!tail || Number.parseInt(tail[1] as string, 16) !== crc) {
      throw new BadLine(`"crc":"${crc.toString(16).padStart(8, "0")}", that of the bytes that stand here`);
    }
    this.#commit(end, crc, newline + 1 - commandAt, event);
    return true;
  }

  #commit({ at, sequence, index }: CommandEnd, crc: number, bytes: number, event: WalletEvent): void {
    const before = this.position;
    if (sequence < before.sequence || (sequence === before.sequence && index <= before.index)) {
      throw new BadLine(`a command after ${before.sequence}.${before.index}`);
    }
    if (at < before.at) throw new BadLine(`"at" not before ${before.at}`);
    if (event.type === "LedgerOpened") this.#currency = event.currency;
    const ledgerId = event.type === "LedgerOpened" ? event.ledger_id : before.ledgerId;
    const end = {
      seq: before.seq + this.#events.length,
      bytes: before.bytes + bytes,
      sequence,
      index,
      crc,
      at,
      ledgerId,
    };
    this.visit({ events: this.#events, end });
    this.position = end;
    this.#events = [];
  }

  #currency: Parameters<typeof parseLine>[1];

  #fail(expected: string): void {
    this.break = {
      line: this.position.seq + this.#events.length + 1,
      offset: this.position.bytes + this.#scanned,
      expected,
    };
  }
}

/**
 * Whether any command after `offset` is committed, taking its predecessor's crc as it stands there. Where
 * one is, the break at `offset` is no torn end: something in the middle was damaged.
 */
export function hasCommandAfter(file: AppendFile, offset: number): boolean {
  const bytes = Buffer.allocUnsafe(Math.max(0, file.size() - offset));
  let length = 0;
  while (length < bytes.length) {
    const read = file.read(bytes.subarray(length), offset + length);
    if (read === 0) break;
    length += read;
  }
  let commandAt = -1;
  let crcBefore = 0;
  for (let lineAt = 0; lineAt < length; ) {
    const newline = bytes.indexOf(NEWLINE, lineAt);
    if (newline < 0 || newline >= length) return false;
    const tail = CRC_TAIL.exec(
      bytes.toString("latin1", Math.max(lineAt, newline - CRC_TAIL_LENGTH), newline),
    );
    if (tail) {
      const crc = Number.parseInt(tail[1] as string, 16);
      if (commandAt >= 0 && crc32(bytes.subarray(commandAt, newline - CRC_TAIL_LENGTH), crcBefore) === crc)
        return true;
      commandAt = newline + 1;
      crcBefore = crc;
    }
    lineAt = newline + 1;
  }
  return false;
}
