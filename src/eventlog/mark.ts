/**
 * events.mark: up to where events.log is known to be on disk.
 *
 * Two slots of 512 bytes, written in turn, so that one is whole whatever happens to the other: a JSON
 * object with a checksum of its own, padded with spaces to a line.
 */

import { crc32 } from "node:zlib";
import { parseTransactionId } from "../domain/names.ts";
import type { AppendFile, DataFolder } from "../ports/append-file.ts";
import { crcText, type LogPosition } from "../ports/log-position.ts";
import { writeAll } from "./write-all.ts";

export const MARK_NAME = "events.mark";
const SLOT_BYTES = 512;

interface Slot {
  readonly generation: number;
  readonly position: LogPosition;
}

export class LogMark {
  readonly #file: AppendFile;
  #generation: number;
  /** What the file said when it was opened. */
  readonly found: LogPosition | undefined;
  #marked: LogPosition | undefined;
  /** The length that the file must have at least. */
  #bytes: number;

  private constructor(file: AppendFile) {
    this.#file = file;
    const newest = newestSlot(file);
    this.#generation = newest?.generation ?? 0;
    this.found = newest?.position;
    this.#marked = this.found;
    this.#bytes = file.size();
  }

  /** What the file says. */
  get marked(): LogPosition | undefined {
    return this.#marked;
  }

  /** What became of the file; undefined while its path names it. */
  lost(): string | undefined {
    return this.#file.lost() ?? (this.#file.size() < this.#bytes ? "was cut" : undefined);
  }

  static open(folder: DataFolder): LogMark {
    const file = folder.open(MARK_NAME, true);
    if (!file) throw new Error(`${folder.path(MARK_NAME)} could not be created`);
    return new LogMark(file);
  }

  /** What the folder's mark says, without touching it; undefined where there is none that is whole. */
  static read(folder: DataFolder): LogPosition | undefined {
    const file = folder.open(MARK_NAME, false);
    if (!file) return undefined;
    try {
      return newestSlot(file)?.position;
    } finally {
      file.close();
    }
  }

  /** Resolves when the mark is on disk. The log must be so up to `position` before. */
  async write(position: LogPosition): Promise<void> {
    const generation = ++this.#generation;
    const bytes = Buffer.from(slotText({ generation, position }), "latin1");
    const at = (generation % 2) * SLOT_BYTES;
    writeAll(this.#file, bytes, at);
    this.#bytes = Math.max(this.#bytes, at + SLOT_BYTES);
    await this.#file.sync();
    this.#marked = position;
  }

  close(): void {
    this.#file.close();
  }
}

function slotText({ generation, position }: Slot): string {
  const { ledgerId, ...numbers } = position;
  const body = JSON.stringify({ generation, ...numbers, ledger_id: ledgerId ?? null });
  const whole = `${body.slice(0, -1)},"check":"${crcText(crc32(body))}"}`;
  return `${whole.padEnd(SLOT_BYTES - 1)}\n`;
}

function newestSlot(file: AppendFile): Slot | undefined {
  const slots = [readSlot(file, 0), readSlot(file, SLOT_BYTES)].filter((slot) => slot !== undefined);
  return slots.sort((a, b) => b.generation - a.generation)[0];
}

const CHECK = /^(\{.*),"check":"([0-9a-f]{8})"\} *\n$/;

function readSlot(file: AppendFile, at: number): Slot | undefined {
  const bytes = Buffer.alloc(SLOT_BYTES);
  if (file.read(bytes, at) !== SLOT_BYTES) return undefined;
  const match = CHECK.exec(bytes.toString("latin1"));
  if (!match) return undefined;
  const body = `${match[1]}}`;
  if (crcText(crc32(body)) !== match[2]) return undefined;
  const { generation, seq, bytes: logBytes, sequence, index, crc, at: atMs, ledger_id } = JSON.parse(body);
  const ledgerId = typeof ledger_id === "string" ? parseTransactionId(ledger_id) : undefined;
  return { generation, position: { seq, bytes: logBytes, sequence, index, crc, at: atMs, ledgerId } };
}
