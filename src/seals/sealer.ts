/**
 * Keeps events.seals: reads the log behind the newest seal, and seals it.
 *
 * What is sealed stands before the log's mark, so it was on disk before, and recovery never cuts it: only what
 * is torn at or behind the mark is cut. Every seal is on disk before the next one is written. Whoever opens or
 * seals holds the lock on the file; between the two another process may have sealed.
 */

import { CommandBytes } from "../eventlog/command-bytes.ts";
import { lastCommands } from "../eventlog/lookup.ts";
import { DamagedLog } from "../eventlog/recovery.ts";
import { writeAll } from "../eventlog/write-all.ts";
import type { AppendFile, DataFolder, ReadableFile } from "../ports/append-file.ts";
import { commandText } from "../ports/log-position.ts";
import { SEALS_NAME, type Seal } from "../ports/seals.ts";
import { BadSeal, SealedPart } from "./seal.ts";
import { readTail, type SealTail } from "./seal-file.ts";

const HASH_TAIL = /"hash":"([0-9a-f]{64})"\}\n$/;
const HASH_TAIL_LENGTH = `"hash":"${"0".repeat(64)}"}\n`.length;

/** The seals do not fit the log, or are not what was written: somebody has changed one of the two. */
export class SealsDoNotFit extends Error {
  override readonly name = "SealsDoNotFit";
}

export class Sealer {
  #newest: Seal | undefined;
  #size: number;
  #part = new SealedPart();
  readonly #commands: CommandBytes;
  readonly #path: string;

  private constructor(
    private readonly folder: DataFolder,
    private readonly log: ReadableFile,
    private readonly sealCommands: number,
    { last, bytes }: SealTail,
    /** Bytes of a torn line that were cut when the file was opened. */
    readonly cut: number,
  ) {
    this.#newest = last;
    this.#size = bytes;
    this.#commands = new CommandBytes(log, last?.bytes ?? 0);
    this.#path = folder.path(SEALS_NAME);
  }

  /**
   * Opens the folder's seals, to seal behind every `sealCommands` commands; makes them where there are none. Of
   * those that are there the last one is held against the log. Rejects with SealsDoNotFit.
   */
  static async open(folder: DataFolder, log: ReadableFile, sealCommands: number): Promise<Sealer> {
    const path = folder.path(SEALS_NAME);
    const file = folder.open(SEALS_NAME, true);
    if (!file) throw new Error(`${path} could not be created`);
    try {
      const tail = readTail(file);
      checkLast(log, tail);
      const cut = file.size() - tail.bytes;
      if (cut > 0) {
        file.truncate(tail.bytes);
        await file.sync();
      }
      return new Sealer(folder, log, sealCommands, tail, cut);
    } catch (error) {
      throw error instanceof BadSeal
        ? new SealsDoNotFit(`${path}: its end is damaged: expected ${error.message}`)
        : error;
    } finally {
      file.close();
    }
  }

  get newest(): Seal | undefined {
    return this.#newest;
  }

  /** Commands that were read since the newest seal. */
  get unsealed(): number {
    return this.#part.commands;
  }

  /** As many commands were read as a seal may cover. */
  get isFull(): boolean {
    return this.unsealed >= this.sealCommands;
  }

  /**
   * Reads the next few commands of the log's first `end` bytes, a command's end; false where there are no more.
   * Throws DamagedLog.
   */
  read(end: number): boolean {
    if (this.isFull || this.#commands.at >= end) return false;
    const bytes = this.#commands.next(end, (command) => {
      this.#part.command(command);
      return !this.isFull;
    });
    if (bytes.length === 0)
      throw new DamagedLog(`the log has no complete command at byte ${this.#commands.at}`);
    this.#part.bytes(bytes);
    return true;
  }

  /** Whether another process has sealed: then the file has to be opened again. Throws SealsDoNotFit. */
  hasGrown(): boolean {
    const file = this.#file();
    try {
      return this.#hasGrown(file);
    } finally {
      file.close();
    }
  }

  /**
   * Seals what was read, of this ledger; resolves when it is on disk. With false, and without a seal, where the
   * file has grown. Rejects with SealsDoNotFit.
   */
  async seal(ledgerId: string): Promise<boolean> {
    const file = this.#file();
    try {
      if (this.#hasGrown(file)) return false;
      const { line, seal } = this.#part.seal(this.#place(ledgerId), this.#newest);
      writeAll(file, Buffer.from(line, "latin1"), this.#size);
      await file.sync();
      if (!this.#newest) await this.folder.sync();
      this.#newest = seal;
      this.#size += line.length;
      this.#part = new SealedPart();
      return true;
    } finally {
      file.close();
    }
  }

  #file(): AppendFile {
    const file = this.folder.open(SEALS_NAME, false);
    if (!file) throw new SealsDoNotFit(`${this.#path} was deleted`);
    return file;
  }

  /** Whether there is more behind the newest seal; throws SealsDoNotFit where that one is not there any more. */
  #hasGrown(file: AppendFile): boolean {
    const tail = Buffer.alloc(HASH_TAIL_LENGTH);
    if (this.#newest) {
      file.read(tail, this.#size - HASH_TAIL_LENGTH);
      if (HASH_TAIL.exec(tail.toString("latin1"))?.[1] !== this.#newest.hash)
        throw new SealsDoNotFit(`${this.#path}: seal ${this.#newest.seal} is missing`);
    }
    return file.size() > this.#size;
  }

  #place(ledger_id: string) {
    const bytes = this.#commands.at;
    const [, last] = lastCommands(this.log, bytes);
    if (last?.bytes !== bytes) throw new DamagedLog(`the log has no command that ends at byte ${bytes}`);
    const { seq, at } = last;
    return { seal: (this.#newest?.seal ?? 0) + 1, ledger_id, seq, command: commandText(last), at, bytes };
  }
}

/** Whether the log still has what its last seal covers. Throws BadSeal. */
function checkLast(log: ReadableFile, { before, last }: SealTail): void {
  if (!last) return;
  const size = log.size();
  if (size < last.bytes)
    throw new SealsDoNotFit(
      `the log has ${size} bytes, but ${last.bytes} are sealed: sealed commands are missing`,
    );
  const part = new SealedPart();
  const commands = new CommandBytes(log, before?.bytes ?? 0);
  for (;;) {
    const bytes = commands.next(last.bytes, () => true);
    if (bytes.length === 0) break;
    part.bytes(bytes);
  }
  const { seal } = part.seal(last, before);
  if (seal.log !== last.log)
    throw new SealsDoNotFit(
      `the log does not match seal ${last.seal}: coffer verify --seals reports the first altered command`,
    );
}
