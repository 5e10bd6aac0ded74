/** Finds the chain's crc after a given command, by bisection over the log: it needs no index. */

import type { AppendFile } from "../ports/append-file.ts";

/** Longer than any two lines, so that a window that starts anywhere but near the end holds a command's end. */
const WINDOW_BYTES = 64 << 10;
const COMMAND_END = /"command":"([0-9]+)\.([0-9]+)","crc":"([0-9a-f]{8})"\}\n/g;

/**
 * The crc after command `sequence`.`index`, within the log's first `bytes`; undefined where no such
 * command wrote anything.
 */
export function crcAt(file: AppendFile, bytes: number, sequence: number, index: number): number | undefined {
  let low = 0;
  let high = bytes;
  while (high - low > WINDOW_BYTES) {
    const middle = Math.floor((low + high) / 2);
    const first = ends(file, middle, Math.min(bytes, middle + WINDOW_BYTES)).next().value;
    if (first && (first.sequence < sequence || (first.sequence === sequence && first.index <= index)))
      low = middle;
    else high = middle;
  }
  for (const end of ends(file, low, Math.min(bytes, high + WINDOW_BYTES))) {
    if (end.sequence === sequence && end.index === index) return end.crc;
  }
  return undefined;
}

/** The commands whose last line ends in this part of the file. */
function* ends(file: AppendFile, from: number, to: number) {
  const window = Buffer.allocUnsafe(to - from);
  const read = file.read(window, from);
  for (const match of window.toString("latin1", 0, read).matchAll(COMMAND_END)) {
    yield { sequence: Number(match[1]), index: Number(match[2]), crc: Number.parseInt(match[3] ?? "", 16) };
  }
}
