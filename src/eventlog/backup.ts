/**
 * Copies a log while a node may be writing it.
 *
 * The log only grows, so any beginning of it that ends with a command is a ledger as it once stood. What is copied
 * is checked on the way, every line, seq and crc, so that a damaged log makes no backup that looks whole. The
 * copy's mark is written last, when all before it is on disk.
 *
 * An earlier copy is extended by what came since, where the log has at its end the very command that its mark
 * names. Until the new mark is on disk the old one counts, and what stands behind it is cut by the next backup.
 *
 * Seals come last, and only those that were there before the log's end was looked up: so they never stand ahead of
 * the copy, whenever it is interrupted. Where the last seal of the copy is not at its place any more the chain is
 * another one, which must not go on behind it: each seal has the hash of the one before, so the last tells of all.
 */

import type { AppendFile, DataFolder, ReadableFile } from "../ports/append-file.ts";
import { EMPTY_LOG, type LogPosition } from "../ports/log-position.ts";
import { SEALS_NAME } from "../ports/seals.ts";
import { upTo } from "./check-lines.ts";
import { lastCommands, openingOf } from "./lookup.ts";
import { LogMark } from "./mark.ts";
import { inspectLog, LOG_NAME, type LogFinding } from "./recovery.ts";
import { writeAll } from "./write-all.ts";

const CHUNK_BYTES = 1 << 20;
const NEWLINE = 10;

/** The target holds something else than an earlier part of this log. */
export class NotABackup extends Error {
  override readonly name = "NotABackup";
}

export interface BackedUp {
  /** Where the copy ended before; EMPTY_LOG for a new one. */
  readonly from: LogPosition;
  /** What was found; the copy ends at its position, unless it is damaged: then the copy is as it was. */
  readonly finding: LogFinding;
}

/** Who is told how far the copy is, in bytes of the log. */
export interface BackupProgress {
  begins(from: number, to: number): void;
  at(bytes: number): void;
}

/**
 * Copies the log of `source`, open as `log`, and its seals to `target`, to which nobody else may write meanwhile.
 * Throws NotABackup, having changed nothing.
 */
export async function backUp(
  source: DataFolder,
  log: AppendFile,
  target: DataFolder,
  progress: BackupProgress,
): Promise<BackedUp> {
  const from = copiedBefore(log, target);
  const seals = source.open(SEALS_NAME, false);
  try {
    await seals?.sync(); // nothing is copied that the file could still lose
    const sealed = seals ? endOfLines(seals, seals.size()) : 0;
    if (seals) expectSameChain(seals, sealed, target);
    // The mark before the log: it may only move on meanwhile.
    const mark = LogMark.read(source);
    const finding = await copyLog(log, mark, from, target, progress);
    if (seals && finding.state !== "damaged") await copySeals(seals, sealed, target);
    return { from, finding };
  } finally {
    seals?.close();
  }
}

/** Up to where `target` has been copied from this log; EMPTY_LOG where it has nothing. */
function copiedBefore(log: ReadableFile, target: DataFolder): LogPosition {
  const existing = target.open(LOG_NAME, false);
  try {
    const mark = LogMark.read(target);
    if (!existing && !mark) return EMPTY_LOG;
    const where = target.path("");
    if (!existing || !mark || !endsAt(existing, mark))
      throw new NotABackup(`${where} does not contain a complete backup`);
    if (log.size() < mark.bytes)
      throw new NotABackup(
        `${where} is ahead of the log, or belongs to another one: it has ${mark.bytes} bytes, the log has ${log.size()}`,
      );
    if (!endsAt(log, mark)) throw new NotABackup(`${where} contains a backup of another log`);
    return mark;
  } finally {
    existing?.close();
  }
}

/** Whether a command of `log` ends at `position`. */
function endsAt(log: ReadableFile, { seq, bytes, crc }: LogPosition): boolean {
  if (log.size() < bytes) return false;
  const [, last] = lastCommands(log, bytes);
  return last !== undefined && last.bytes === bytes && last.seq === seq && last.crc === crc;
}

/** Copies from `from` on; what is found. Where that is damage, or no ledger, or it fails, the copy is as it was. */
async function copyLog(
  log: AppendFile,
  mark: LogPosition | undefined,
  from: LogPosition,
  target: DataFolder,
  progress: BackupProgress,
): Promise<LogFinding> {
  // What is read now is on disk after the sync: nothing is copied that the log could still lose.
  const size = log.size();
  await log.sync();
  progress.begins(from.bytes, size);
  const copy = target.open(LOG_NAME, true);
  if (!copy) throw new Error(`${target.path(LOG_NAME)} could not be created`);
  let end = from;
  try {
    copy.truncate(from.bytes);
    const copied = copying(upTo(log, size), copy, from.bytes);
    const visitor = { command: () => {}, transfers: ({ count }: { readonly count: number }) => count };
    const start = { position: from, currency: from.seq > 0 ? openingOf(log)?.currency : undefined };
    const finding = await inspectLog(copied, mark, visitor, progress.at, start);
    if (finding.state === "damaged" || finding.state === "new") return finding;
    copy.truncate(finding.position.bytes);
    await copy.sync();
    await target.sync();
    end = finding.position; // from here on a mark may name it
    await writeMark(target, end);
    return finding;
  } finally {
    if (end === from) copy.truncate(from.bytes);
    copy.close();
  }
}

/** A file that is written to `copy` as it is read, from `start` on. */
function copying(file: ReadableFile, copy: AppendFile, start: number): ReadableFile {
  return {
    size: () => file.size(),
    read(into, at) {
      const read = file.read(into, at);
      if (at >= start) writeAll(copy, into.subarray(0, read), at);
      return read;
    },
  };
}

async function writeMark(target: DataFolder, position: LogPosition): Promise<void> {
  const mark = LogMark.open(target);
  try {
    await mark.write(position);
  } finally {
    mark.close();
  }
  await target.sync();
}

/** Throws NotABackup where the copy's seals are not the first of `seals`, which end at `end`. */
function expectSameChain(seals: ReadableFile, end: number, target: DataFolder): void {
  const copy = target.open(SEALS_NAME, false);
  if (!copy) return;
  try {
    const to = endOfLines(copy, copy.size());
    const from = endOfLines(copy, Math.max(0, to - 1)); // where its last seal begins
    if (to <= end && bytesOf(copy, from, to).equals(bytesOf(seals, from, to))) return;
  } finally {
    copy.close();
  }
  throw new NotABackup(
    `${target.path(SEALS_NAME)} belongs to another chain of seals than that of the ledger: find out why, then move it out of this directory, keep it, and back up again, or back up to a new directory`,
  );
}

function bytesOf(file: ReadableFile, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  for (let at = 0; at < bytes.length; ) {
    const read = file.read(bytes.subarray(at), from + at);
    if (read === 0) throw new Error(`${SEALS_NAME} was truncated at byte ${from + at} while it was read`);
    at += read;
  }
  return bytes;
}

/** Appends to the copy what it does not have of the first `end` bytes. */
async function copySeals(seals: ReadableFile, end: number, target: DataFolder): Promise<void> {
  const copy = target.open(SEALS_NAME, true);
  if (!copy) throw new Error(`${target.path(SEALS_NAME)} could not be created`);
  try {
    const buffer = new Uint8Array(CHUNK_BYTES);
    let at = endOfLines(copy, copy.size());
    copy.truncate(at); // a line that an earlier backup was interrupted in
    while (at < end) {
      const read = seals.read(buffer.subarray(0, Math.min(CHUNK_BYTES, end - at)), at);
      if (read === 0) throw new Error(`${SEALS_NAME} was truncated at byte ${at} while it was copied`);
      writeAll(copy, buffer.subarray(0, read), at);
      at += read;
    }
    await copy.sync();
  } finally {
    copy.close();
  }
  await target.sync();
}

/** The place behind the last line end before `end`. */
function endOfLines(file: ReadableFile, end: number): number {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let to = end; to > 0; ) {
    const from = Math.max(0, to - CHUNK_BYTES);
    const read = file.read(buffer.subarray(0, to - from), from);
    const newline = buffer.subarray(0, read).lastIndexOf(NEWLINE);
    if (newline >= 0) return from + newline + 1;
    to = from;
  }
  return 0;
}
