/**
 * Snapshots on disk: the folder `snapshots` beside the log.
 *
 * | file | what |
 * |---|---|
 * | `accounts` | names of accounts, a line each; only ever appended to |
 * | `balances` | account, currency and initial balance, a line each; only ever appended to |
 * | `transactions` | records of 44 bytes; only ever appended to |
 * | `<seq>.snapshot` | a line of JSON, then two columns of doubles, little-endian: available and frozen, as many as there are balances |
 *
 * The line says at which place of the log (`position`) all of that holds, how much of the first three files
 * counts (`files`: their bytes and the CRC-32 of those), the columns' CRC-32, and last its own (`check`). What
 * stands in the files behind that is of a snapshot that was never finished, and is written over.
 *
 * A snapshot is written to a file of another name, synced and renamed, when all that it counts is on disk. The
 * newest two are kept. One that is broken is passed over; the log stays the truth.
 */

import { crc32 } from "node:zlib";
import { money } from "../domain/amount.ts";
import { KINDS_BY_NUMBER } from "../domain/kinds.ts";
import { REJECTIONS_BY_NUMBER } from "../domain/rejections.ts";
import { RECORD_INTS, SEGMENT_RECORDS } from "../engine/transaction-records.ts";
import { writeAll } from "../eventlog/write-all.ts";
import type { AppendFile, FileFolder } from "../ports/append-file.ts";
import { crcText } from "../ports/log-position.ts";
import type {
  ReadSnapshot,
  SnapshotCounts,
  SnapshotGrowth,
  SnapshotState,
  SnapshotStore,
} from "../ports/snapshots.ts";

/** The folder beside the log. */
export const SNAPSHOTS = "snapshots";
const VERSION = 1;
/** Of a snapshot: its seq. Whatever else lies in the folder is not looked at. */
const NAME = /^[0-9]{16}\.snapshot$/;
const SUFFIX = ".snapshot";
/** Says that lines before a snapshot are damaged: then snapshots do not count until the log was read as a whole. */
const DAMAGE = "damage";
const UNFINISHED = "unfinished";
const KEPT_SNAPSHOTS = 2;
const FILES = ["accounts", "balances", "transactions"] as const;
const RECORD_BYTES = RECORD_INTS * Int32Array.BYTES_PER_ELEMENT;
/** Read at once: as many records as the engine keeps together. */
const PART_BYTES = SEGMENT_RECORDS * RECORD_BYTES;
const DIGITS = 16;
const WRITTEN_BYTES = 1 << 20;

/** How much of a file counts. */
interface Extent {
  readonly bytes: number;
  readonly crc: number;
}

type Extents = Readonly<Record<(typeof FILES)[number], Extent>>;

interface Head {
  readonly state: Omit<SnapshotState, "available" | "frozen">;
  readonly files: Extents;
  readonly columns: number;
}

/** Why a snapshot is not used. */
export class BrokenSnapshot extends Error {
  override readonly name = "BrokenSnapshot";
}

/** What was read, and what the files are then continued from. */
export interface FoundSnapshot extends ReadSnapshot {
  readonly name: string;
  readonly files: Extents;
}

/** The newest snapshot that is whole. `broken` hears of those that are not. Changes nothing. */
export function newestSnapshot(
  folder: FileFolder,
  broken: (path: string, why: string) => void,
): FoundSnapshot | undefined {
  for (const name of snapshotNames(folder)) {
    try {
      return readSnapshot(folder, name);
    } catch (error) {
      // Whatever it is, also a disk that does not give it back: the log is the truth.
      broken(folder.path(name), error instanceof Error ? error.message : String(error));
    }
  }
  return undefined;
}

/** The names of snapshots, newest first. */
export function snapshotNames(folder: FileFolder): readonly string[] {
  return folder
    .names()
    .filter((name) => NAME.test(name))
    .sort()
    .reverse();
}

/** Throws BrokenSnapshot. */
export function readSnapshot(folder: FileFolder, name: string): FoundSnapshot {
  const whole = withFile(folder, name, (file) => readBytes(file, file.size()));
  const end = whole.indexOf(10);
  if (end < 0) throw new BrokenSnapshot("it has no first line");
  const { state, files, columns } = readHead(whole.toString("latin1", 0, end));
  const numbers = whole.subarray(end + 1);
  const { balances } = state.counts;
  if (numbers.length !== 2 * balances * Float64Array.BYTES_PER_ELEMENT || crc32(numbers) !== columns)
    throw new BrokenSnapshot("its columns differ from those that were written");
  const doubles = new Float64Array(new Uint8Array(numbers).buffer);
  const parts = (of: (typeof FILES)[number]) =>
    withFile(folder, of, (file) => readParts(file, folder.path(of), files[of]));
  const found = {
    accounts: Buffer.concat(parts("accounts")).toString("latin1"),
    balances: Buffer.concat(parts("balances")).toString("latin1"),
    transactions: parts("transactions").map((bytes) => new Int32Array(bytes.buffer)),
  };
  if (
    linesIn(found.accounts) !== state.counts.accounts ||
    linesIn(found.balances) !== balances ||
    files.transactions.bytes !== state.counts.transactions * RECORD_BYTES
  )
    throw new BrokenSnapshot("it is shorter than its header states");
  const columnsOf = { available: doubles.slice(0, balances), frozen: doubles.slice(balances) };
  return { name, files, state: { ...state, ...columnsOf }, ...found };
}

function linesIn(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}

function withFile<T>(folder: FileFolder, name: string, read: (file: AppendFile) => T): T {
  const file = folder.open(name, false);
  if (!file) throw new BrokenSnapshot(`${folder.path(name)} does not exist`);
  try {
    return read(file);
  } finally {
    file.close();
  }
}

function readBytes(file: AppendFile, length: number, at = 0): Buffer<ArrayBuffer> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let read = 0; read < length; ) {
    const more = file.read(bytes.subarray(read), at + read);
    if (more === 0) throw new BrokenSnapshot(`a file is ${length - read} bytes too short`);
    read += more;
  }
  return bytes;
}

/** What counts of a file, in parts whose buffers are their own. */
function readParts(file: AppendFile, path: string, { bytes, crc }: Extent): Buffer<ArrayBuffer>[] {
  const parts: Buffer<ArrayBuffer>[] = [];
  let found = 0;
  for (let at = 0; at < bytes; at += PART_BYTES) {
    const part = readBytes(file, Math.min(PART_BYTES, bytes - at), at);
    found = crc32(part, found);
    parts.push(part);
  }
  if (found !== crc) throw new BrokenSnapshot(`${path} differs from what was written`);
  return parts;
}

/** Records have numbers for these: those of a kind begin with 1, as those of a reason do. */
const KINDS = KINDS_BY_NUMBER.slice(1);
const REASONS = REJECTIONS_BY_NUMBER.slice(1);
const CHECK = /^(\{.*),"check":"([0-9a-f]{8})"\}$/;

function headText({ state, files, columns }: Head): string {
  const { large, ...plain } = state;
  const body = JSON.stringify({
    snapshot: VERSION,
    kinds: KINDS,
    reasons: REASONS,
    ...plain,
    large: large.map(({ place, available, frozen }) => [place, String(available), String(frozen)]),
    files,
    columns,
  });
  return `${body.slice(0, -1)},"check":"${crcText(crc32(body))}"}`;
}

function readHead(text: string): Head {
  const match = CHECK.exec(text);
  const body = `${match?.[1]}}`;
  if (!match || crcText(crc32(body)) !== match[2])
    throw new BrokenSnapshot("its first line differs from the one that was written");
  const { snapshot, kinds, reasons, files, columns, large, ...plain } = JSON.parse(body);
  if (snapshot !== VERSION)
    throw new BrokenSnapshot(`it has version ${snapshot}; this program reads ${VERSION}`);
  if (!begins(KINDS, kinds) || !begins(REASONS, reasons))
    throw new BrokenSnapshot("its records have kinds or reasons of another version");
  const exact = (large as [number, string, string][]).map(([place, available, frozen]) => ({
    place,
    available: money(BigInt(available)),
    frozen: money(BigInt(frozen)),
  }));
  return { state: { ...plain, large: exact }, files, columns };
}

function begins(list: readonly (string | undefined)[], beginning: readonly string[]): boolean {
  return beginning.every((text, index) => text === list[index]);
}

/** Notes what is wrong with the lines before a snapshot. Resolves when that is on disk. */
export async function noteDamage(folder: FileFolder, damage: string): Promise<void> {
  const file = folder.open(DAMAGE, true);
  if (!file) throw new Error(`${folder.path(DAMAGE)} could not be created`);
  writeAll(file, Buffer.from(`${damage}\n`), 0);
  await file.sync();
  file.close();
  await folder.sync();
}

export function isDamageNoted(folder: FileFolder): boolean {
  return folder.names().includes(DAMAGE);
}

export class SnapshotFiles implements SnapshotStore {
  #kept: SnapshotCounts;
  #extents: Extents;
  /** What the newest snapshot counts. */
  #counted: { readonly kept: SnapshotCounts; readonly extents: Extents };
  readonly #files: Readonly<Record<(typeof FILES)[number], AppendFile>>;

  /** Goes on behind `found`; what no snapshot counts is removed, and snapshots that are not whole. */
  constructor(
    private readonly folder: FileFolder,
    found: FoundSnapshot | undefined,
  ) {
    this.#kept = found?.state.counts ?? { accounts: 0, balances: 0, transactions: 0 };
    const nothing: Extent = { bytes: 0, crc: 0 };
    this.#extents = found?.files ?? { accounts: nothing, balances: nothing, transactions: nothing };
    for (const name of snapshotNames(folder)) {
      if (name === found?.name) break;
      folder.remove(name); // newer, and broken: the files will not be those that it counts
    }
    if (!found) for (const name of snapshotNames(folder)) folder.remove(name);
    for (const name of [UNFINISHED, DAMAGE]) if (folder.names().includes(name)) folder.remove(name);
    this.#counted = { kept: this.#kept, extents: this.#extents };
    const open = (name: (typeof FILES)[number]) => {
      const file = folder.open(name, true);
      if (!file) throw new Error(`${folder.path(name)} could not be created`);
      file.truncate(this.#extents[name].bytes);
      return file;
    };
    this.#files = {
      accounts: open("accounts"),
      balances: open("balances"),
      transactions: open("transactions"),
    };
  }

  get kept(): SnapshotCounts {
    return this.#kept;
  }

  async append({ to, accounts, balances, transactions }: SnapshotGrowth): Promise<void> {
    this.#extents = {
      accounts: await this.#append("accounts", Buffer.from(accounts, "latin1")),
      balances: await this.#append("balances", Buffer.from(balances, "latin1")),
      transactions: await this.#append("transactions", new Uint8Array(transactions.buffer)),
    };
    this.#kept = to;
  }

  async write({ available, frozen, ...state }: SnapshotState): Promise<void> {
    const { folder } = this;
    const columns = [bytesOf(available), bytesOf(frozen)];
    const crc = columns.reduce((before, column) => crc32(column, before), 0);
    const head = Buffer.from(`${headText({ state, files: this.#extents, columns: crc })}\n`, "latin1");
    const file = folder.open(UNFINISHED, true);
    if (!file) throw new Error(`${folder.path(UNFINISHED)} could not be created`);
    try {
      file.truncate(0);
      let at = 0;
      for (const bytes of [head, ...columns]) {
        for (let from = 0; from < bytes.length; from += WRITTEN_BYTES) {
          const part = bytes.subarray(from, from + WRITTEN_BYTES);
          writeAll(file, part, at);
          at += part.length;
          await file.sync(); // bit by bit, for the log waits for the same disk
        }
      }
    } finally {
      file.close();
    }
    await folder.sync(); // the names of the files that it counts
    folder.rename(UNFINISHED, `${String(state.position.seq).padStart(DIGITS, "0")}${SUFFIX}`);
    await folder.sync();
    this.#counted = { kept: this.#kept, extents: this.#extents };
    for (const name of snapshotNames(folder).slice(KEPT_SNAPSHOTS)) folder.remove(name);
  }

  discard(): void {
    this.#kept = this.#counted.kept;
    this.#extents = this.#counted.extents;
    for (const name of FILES) this.#files[name].truncate(this.#extents[name].bytes);
    if (this.folder.names().includes(UNFINISHED)) this.folder.remove(UNFINISHED);
  }

  close(): void {
    for (const name of FILES) this.#files[name].close();
  }

  async #append(name: (typeof FILES)[number], bytes: Uint8Array): Promise<Extent> {
    const before = this.#extents[name];
    if (bytes.length === 0) return before;
    const file = this.#files[name];
    writeAll(file, bytes, before.bytes);
    await file.sync();
    return { bytes: before.bytes + bytes.length, crc: crc32(bytes, before.crc) };
  }
}

function bytesOf(doubles: Float64Array): Uint8Array {
  return new Uint8Array(doubles.buffer, doubles.byteOffset, doubles.byteLength);
}
