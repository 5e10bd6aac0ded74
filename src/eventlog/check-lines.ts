/** Checks lines that a start behind a snapshot did not read. */

import { LOG_FORMAT } from "../domain/commands/commands.ts";
import type { ReadableFile } from "../ports/append-file.ts";
import { crcText, type LogPosition } from "../ports/log-position.ts";
import { NewerFormat } from "./line.ts";
import { type LogReading, readLog } from "./reader.ts";
import { damageText } from "./recovery.ts";

/** The first bytes of a file that may grow. */
export function upTo(file: ReadableFile, end: number): ReadableFile {
  return {
    size: () => Math.min(end, file.size()),
    read: (into, at) => file.read(into.subarray(0, Math.max(0, end - at)), at),
  };
}

/**
 * Reads the log up to `end`: every line, seq and crc; not whether what they say can be. Resolves with what is
 * wrong; undefined where nothing is.
 */
export async function checkLines(
  file: ReadableFile,
  path: string,
  end: LogPosition,
): Promise<string | undefined> {
  let reading: LogReading;
  try {
    reading = await readLog(upTo(file, end.bytes), { command: () => {}, transfers: ({ count }) => count });
  } catch (error) {
    // Whoever took the snapshot knew the format.
    if (error instanceof NewerFormat)
      return damageText(path, { line: 1, offset: 0, expected: `format ${LOG_FORMAT}` });
    throw error;
  }
  const { position, break: found } = reading;
  if (found) return damageText(path, found);
  if (position.crc === end.crc && position.seq === end.seq) return undefined;
  const expected = `event ${end.seq} with crc ${crcText(end.crc)}, as recorded in a snapshot`;
  return damageText(path, { line: position.seq, offset: position.bytes, expected });
}
