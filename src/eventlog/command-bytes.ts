/**
 * The log command by command, as bytes alone: nothing that stands in them is believed. A command ends with the
 * first line that ends with its crc, `,"crc":"` and 8 bytes and `"}`.
 */

import type { ReadableFile } from "../ports/append-file.ts";
import { MAX_COMMAND_LINES_BYTES } from "./reader.ts";

/** So much is read at a time. */
const CHUNK_BYTES = 256 << 10;
const CRC = Buffer.from(',"crc":"');
const CRC_TAIL_LENGTH = ',"crc":"00000000"}\n'.length;
const [QUOTE, BRACE, NEWLINE] = [34, 125, 10];

const NOTHING = Buffer.alloc(0);

export class CommandBytes {
  #buffer = Buffer.allocUnsafe(CHUNK_BYTES);

  /** `at`: where the next command begins. */
  constructor(
    private readonly file: ReadableFile,
    public at: number,
  ) {}

  /**
   * Gives the next few commands to `take`, until it returns false: those that end within the file's first `end`
   * bytes. Returns the bytes of all that were given, valid until the next call; none where there is no more
   * whole command.
   */
  next(end: number, take: (command: Buffer) => boolean): Buffer {
    for (;;) {
      const wanted = Math.max(0, Math.min(this.#buffer.length, end - this.at));
      const chunk = this.#buffer.subarray(0, this.file.read(this.#buffer.subarray(0, wanted), this.at));
      const done = giveCommands(chunk, take);
      this.at += done;
      if (done > 0) return chunk.subarray(0, done);
      const isAll = chunk.length < this.#buffer.length;
      if (isAll || chunk.length > MAX_COMMAND_LINES_BYTES) return NOTHING;
      this.#buffer = Buffer.allocUnsafe(this.#buffer.length * 2);
    }
  }
}

/** Returns the bytes of the commands that were given. */
function giveCommands(chunk: Buffer, take: (command: Buffer) => boolean): number {
  let from = 0;
  for (let searched = 0; ; ) {
    const crcAt = chunk.indexOf(CRC, searched);
    const to = crcAt + CRC_TAIL_LENGTH;
    if (crcAt < 0 || to > chunk.length) return from;
    searched = crcAt + 1;
    if (chunk[to - 3] !== QUOTE || chunk[to - 2] !== BRACE || chunk[to - 1] !== NEWLINE) continue;
    const goOn = take(chunk.subarray(from, to));
    from = to;
    searched = to;
    if (!goOn) return from;
  }
}
