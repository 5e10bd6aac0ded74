/**
 * What a log is found to be at the start, and what is done about it.
 *
 * | found | done |
 * |---|---|
 * | no file, or a first line that was never whole | `new`: a new ledger; torn bytes are kept aside |
 * | all commands committed | `whole`: go on |
 * | a break at or after the mark | `torn`: the bytes from it on are kept as events.log.torn-… and cut |
 * | a break before the mark | `damaged`: refuse, change nothing |
 * | a log shorter than its mark, or another one than the mark's | `damaged` |
 * | no whole mark, and a committed command after the break | `damaged`: the break is not at the end |
 * | no whole mark, and none | `torn` |
 * | a command whose crc fits, but that cannot be read, or cannot be | `damaged`: it is committed |
 * | a newer format | NewerFormat is thrown |
 * | a log that ends before an event that a node kept in events.log.rescued-N | DamagedLog is thrown |
 * | a log that is read behind a snapshot, but is shorter than it, or another one there | `damaged`: it lost commands that were acknowledged |
 *
 * Recovery ends by writing the bytes after the mark once more in place and syncing them: after a crash
 * they may live in the page cache alone.
 */

import { ImpossibleState } from "../domain/impossible-state.ts";
import type { AppendFile, DataFolder, ReadableFile } from "../ports/append-file.ts";
import { crcText, EMPTY_LOG, type LogPosition } from "../ports/log-position.ts";
import { copyBytes, keepBytes, unusedName } from "./keep-bytes.ts";
import { BadLine } from "./line.ts";
import { type LoggedEnd, lastCommands } from "./lookup.ts";
import {
  hasCommandAfter,
  LOG_BEGIN,
  type LogBreak,
  type LogStart,
  type LogVisitor,
  readLog,
} from "./reader.ts";

export const LOG_NAME = "events.log";
/** What a node copies when its log is taken away is kept under this name and the seq of the last event in it. */
export const RESCUED_NAME = `${LOG_NAME}.rescued-`;

export type LogFinding =
  | { readonly state: "new" | "whole"; readonly position: LogPosition; readonly size: number }
  | {
      readonly state: "torn";
      readonly position: LogPosition;
      readonly size: number;
      readonly break: LogBreak;
    }
  | {
      readonly state: "damaged";
      readonly position: LogPosition;
      readonly size: number;
      readonly break: LogBreak;
    };

/** The log cannot be trusted; nothing was changed. The message names file, line, byte and what was expected. */
export class DamagedLog extends Error {
  override readonly name = "DamagedLog";
}

export function damageText(path: string, { line, offset, expected }: LogBreak): string {
  return `${path}: line ${line}, byte ${offset}: expected ${expected}`;
}

/**
 * Reads the log (undefined where there is no file) and judges it. Changes nothing. With `snapshot` it is read
 * behind that only, where it must say the same command.
 */
export async function inspectLog(
  file: ReadableFile | undefined,
  mark: LogPosition | undefined,
  visitor: LogVisitor,
  progress?: (bytes: number) => void,
  snapshot: LogStart = LOG_BEGIN,
): Promise<LogFinding> {
  const missing = snapshot.position.seq > 0 && missingAt(file, snapshot.position);
  if (missing) return { state: "damaged", position: EMPTY_LOG, size: file?.size() ?? 0, break: missing };
  const start = snapshot.position;
  let atMark: Pick<LogPosition, "seq" | "crc"> | undefined =
    mark && start.bytes > mark.bytes ? mark : start.bytes === mark?.bytes ? start : undefined;
  const { transfers } = visitor;
  const checking: LogVisitor = {
    begins: visitor.begins,
    command(command) {
      try {
        visitor.command(command);
      } catch (error) {
        if (!(error instanceof ImpossibleState || error instanceof RangeError)) throw error;
        throw new BadLine(`an event that is valid in this state: ${error.message}`);
      }
      if (command.end.bytes === mark?.bytes) atMark = command.end;
    },
    transfers:
      transfers &&
      ((plain) => {
        const taken = transfers(plain);
        const { seq, ends, crcs } = plain;
        for (let i = 0; i < taken; i++)
          if (ends[i] === mark?.bytes) atMark = { seq: seq + 2 * (i + 1), crc: crcs[i] as number };
        return taken;
      }),
  };
  const reading = file
    ? await readLog(file, checking, progress, snapshot)
    : { position: EMPTY_LOG, size: 0, break: undefined };
  const { position, size } = reading;
  // Where no mark tells, whole commands behind a break do: it is no torn end.
  const short = mark !== undefined && size < mark.bytes;
  const inTheMiddle =
    reading.break && file && (short || !mark) && (await hasCommandAfter(file, position.bytes));
  if (mark && short && !inTheMiddle) {
    const expected = `${mark.bytes} bytes, as recorded in its mark, found ${size}: acknowledged commands are missing`;
    return { state: "damaged", position, size, break: { line: position.seq + 1, offset: size, expected } };
  }
  if (reading.break) {
    const atEnd = mark ? position.bytes >= mark.bytes : !inTheMiddle;
    if (!atEnd || reading.break.committed) return { state: "damaged", position, size, break: reading.break };
  }
  if (mark && mark.bytes > 0 && (!atMark || atMark.crc !== mark.crc || atMark.seq !== mark.seq)) {
    const expected = `the end of event ${mark.seq} with crc ${crcText(mark.crc)}, as recorded in the mark`;
    return { state: "damaged", position, size, break: { line: mark.seq, offset: mark.bytes, expected } };
  }
  if (position.seq === 0) return { state: "new", position, size };
  return reading.break
    ? { state: "torn", position, size, break: reading.break }
    : { state: "whole", position, size };
}

/** What is wrong where the log should have the command that ends at `position`. */
function missingAt(file: ReadableFile | undefined, position: LogPosition): LogBreak | undefined {
  const size = file?.size() ?? 0;
  const [, last] = file && size >= position.bytes ? lastCommands(file, position.bytes) : [];
  if (last && isSameEnd(last, position)) return undefined;
  const expected = `the end of event ${position.seq} with crc ${crcText(position.crc)}, as recorded in a snapshot: acknowledged commands are missing`;
  return { line: position.seq, offset: Math.min(size, position.bytes), expected };
}

function isSameEnd(a: LoggedEnd, b: LogPosition): boolean {
  const { seq, bytes, crc, sequence, index, at } = a;
  const same = seq === b.seq && bytes === b.bytes && crc === b.crc;
  return same && sequence === b.sequence && index === b.index && at === b.at;
}

export interface RecoveredLog {
  readonly file: AppendFile;
  readonly position: LogPosition;
  /** The file in which torn bytes were kept, and how many. */
  readonly torn: { readonly path: string; readonly bytes: number } | undefined;
}

/**
 * Makes the log ready to be appended to, after `visitor` has heard of all of it. Throws DamagedLog or
 * NewerFormat, having changed nothing. Resolves when all of it is on disk.
 */
export async function recoverLog(
  folder: DataFolder,
  mark: LogPosition | undefined,
  visitor: LogVisitor,
  progress?: (bytes: number) => void,
  snapshot?: LogStart,
): Promise<RecoveredLog> {
  let file = folder.open(LOG_NAME, false);
  try {
    const finding = await inspectLog(file, mark, visitor, progress, snapshot);
    const rescued = newestRescued(folder);
    if (finding.state === "damaged")
      throw new DamagedLog(
        `the log is damaged; nothing was changed: ${damageText(folder.path(LOG_NAME), finding.break)}` +
          (rescued ? `; ${rescued.path} has a copy that a node saved, up to event ${rescued.seq}` : ""),
      );
    if (rescued && rescued.seq > finding.position.seq)
      throw new DamagedLog(
        `${folder.path(LOG_NAME)} ends at event ${finding.position.seq}, but ${rescued.path} has a copy that a node saved, ` +
          `up to event ${rescued.seq}; nothing was changed: replace the log with that copy, or move the copy out of the directory`,
      );
    file ??= folder.open(LOG_NAME, true);
    if (!file) throw new Error(`${folder.path(LOG_NAME)} could not be created`);
    const { position, size } = finding;
    const torn = size > position.bytes ? await keepTornBytes(folder, file, position, size) : undefined;
    if (torn) file.truncate(position.bytes);
    rewrite(file, Math.max(mark?.bytes ?? 0, snapshot?.position.bytes ?? 0), position.bytes);
    await file.sync();
    await folder.sync();
    return { file, position, torn };
  } catch (error) {
    file?.close();
    throw error;
  }
}

async function keepTornBytes(folder: DataFolder, file: AppendFile, position: LogPosition, size: number) {
  const name = unusedName(folder, `${LOG_NAME}.torn-${position.seq + 1}`, 1);
  const path = await keepBytes(folder, name, file, position.bytes, size);
  return { path, bytes: size - position.bytes };
}

/** The copy with the highest seq; undefined if there is none. */
function newestRescued(folder: DataFolder): { readonly path: string; readonly seq: number } | undefined {
  const found = folder.names().flatMap((name) => {
    const [, seq] = RESCUED.exec(name) ?? [];
    return seq === undefined ? [] : [{ path: folder.path(name), seq: Number(seq) }];
  });
  return found.sort((a, b) => b.seq - a.seq)[0];
}

const RESCUED = /^events\.log\.rescued-([0-9]+)(?:-[0-9]+)?$/;

function rewrite(file: AppendFile, from: number, to: number): void {
  copyBytes(file, from, to, file, from);
}
