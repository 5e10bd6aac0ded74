/**
 * Reads events.seals. One line is written at a time, and synced before the next, so a crash can leave one torn
 * line at the end: without its line end, or, where the machine lost power, with bytes of 0 in it.
 */

import type { ReadableFile } from "../ports/append-file.ts";
import type { Seal } from "../ports/seals.ts";
import { BadSeal, checkChain, MAX_SEAL_LINE_BYTES, parseSeal } from "./seal.ts";

const CHUNK_BYTES = 1 << 20;
/** A part of the end in which the last two lines are looked for first. */
const TAIL_BYTES = 256 << 10;
const NEWLINE = 10;
const NUL = 0;

export interface RawSeal {
  /** Without its line end. */
  readonly line: string;
  /** The place of its first byte. */
  readonly at: number;
  /** The end of the file was reached before the line's, or it has bytes of 0 and is the last. */
  readonly torn: boolean;
}

/** Every line of the file, from its first. Throws BadSeal where one is longer than any seal. */
export function* rawSeals(file: ReadableFile): Generator<RawSeal, void> {
  const size = file.size();
  let buffer: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  for (let at = 0, read = 0; ; ) {
    const end = buffer.indexOf(NEWLINE);
    if (end >= 0) {
      const line = buffer.subarray(0, end);
      yield {
        line: line.toString("latin1"),
        at,
        torn: at + end + 1 === size && line.includes(NUL),
      };
      buffer = buffer.subarray(end + 1);
      at += end + 1;
      continue;
    }
    if (buffer.length > MAX_SEAL_LINE_BYTES) throw new BadSeal("a line end");
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - read));
    const length = file.read(chunk, read);
    if (length === 0) {
      if (buffer.length > 0) yield { line: buffer.toString("latin1"), at, torn: true };
      return;
    }
    read += length;
    buffer = Buffer.concat([buffer, chunk.subarray(0, length)]);
  }
}

export interface SealTail {
  /** The two last seals; undefined where there are not so many. Of `before` the hash is not checked. */
  readonly before: Seal | undefined;
  readonly last: Seal | undefined;
  /** The bytes up to the end of the last whole line; what stands behind them is torn. */
  readonly bytes: number;
}

/** The end of the file. Throws BadSeal where, beside a torn line, it is none. */
export function readTail(file: ReadableFile): SealTail {
  const size = file.size();
  for (let length = Math.min(size, TAIL_BYTES); ; length = Math.min(size, length * 2)) {
    const from = size - length;
    const tail = Buffer.alloc(length);
    file.read(tail, from);
    const lines = wholeLines(tail);
    const torn = lines.at(-1)?.includes(NUL) ? lines.pop() : undefined;
    // In the middle of the file the first one may be the end of a longer line.
    if (from > 0 && lines.length < 3) {
      if (length > 4 * MAX_SEAL_LINE_BYTES) throw new BadSeal("a line end");
      continue;
    }
    const bytes = from + tail.lastIndexOf(NEWLINE) + 1 - (torn ? torn.length + 1 : 0);
    const [before, last] = lines.slice(-2).map((line) => parseSeal(line.toString("latin1")));
    if (!before || !last) {
      if (before) checkChain(before, undefined);
      return { before: undefined, last: before?.seal, bytes };
    }
    checkChain(last, before.seal);
    return { before: before.seal, last: last.seal, bytes };
  }
}

function wholeLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) return lines;
    lines.push(bytes.subarray(at, end));
    at = end + 1;
  }
}
