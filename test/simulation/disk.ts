/**
 * A simulated disk. What is written lives in a cache until it is synced; a crash keeps a random part of
 * what was not synced, in sectors, in any order. Writes may be short; reads, writes and syncs may fail; a full
 * disk takes what overwrites, and nothing that makes a file longer.
 */

import type { AppendFile, DataFolder } from "../../src/ports/append-file.ts";
import type { Random } from "./random.ts";
import type { SimulatedTime } from "./time.ts";

const SECTOR_BYTES = 64; // smaller than a real one, so that a torn line is likely
const NOTHING = new Uint8Array();

export interface DiskFaults {
  /** Probabilities for each operation. */
  shortWrite: number;
  readFails: number;
  writeFails: number;
  syncFails: number;
  /** No file grows. */
  full: boolean;
  maxSyncMs: number;
}

export const NO_DISK_FAULTS: Readonly<DiskFaults> = {
  shortWrite: 0,
  readFails: 0,
  writeFails: 0,
  syncFails: 0,
  full: false,
  maxSyncMs: 1,
};

/** Bytes that can be written and cut at any place, in a buffer that grows ahead. */
class Content {
  #buffer = new Uint8Array(256);
  length = 0;

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  write(bytes: Uint8Array, at: number): void {
    this.resize(Math.max(this.length, at + bytes.length));
    this.#buffer.set(bytes, at);
  }

  /** Bytes that are new are 0. */
  resize(length: number): void {
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#buffer.length));
      larger.set(this.bytes);
      this.#buffer = larger;
    } else if (length < this.length) this.#buffer.fill(0, length, this.length);
    this.length = length;
  }
}

interface FileOnDisk {
  /** What a reader sees. */
  readonly cached: Content;
  /** What outlives a crash for certain. */
  readonly durable: Content;
  /** How often that has changed. */
  version: number;
  /** Sectors that the next sync has to write. One that a failed sync has dropped is in neither set. */
  dirty: Set<number>;
  /** Sectors that a sync is writing. */
  readonly writing: Set<number>;
  /** Whether the name outlives a crash for certain. */
  named: boolean;
}

/** An operation of a process that has crashed. */
export class Dead extends Error {
  override readonly name = "Dead";
}

function newFile(): FileOnDisk {
  return {
    cached: new Content(),
    durable: new Content(),
    version: 0,
    dirty: new Set(),
    writing: new Set(),
    named: false,
  };
}

interface Sector {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Copies of sectors as they are now. */
function sectorsOf(content: Content, numbers: Iterable<number>): Sector[] {
  const sectors: Sector[] = [];
  for (const number of numbers) {
    const at = number * SECTOR_BYTES;
    if (at < content.length) sectors.push({ at, bytes: content.bytes.slice(at, at + SECTOR_BYTES) });
  }
  return sectors;
}

function writeSectors(file: FileOnDisk, sectors: readonly Sector[], length: number): void {
  file.durable.resize(length);
  for (const { at, bytes } of sectors)
    if (at < length) file.durable.write(bytes.subarray(0, length - at), at);
  file.version++;
}

export class SimulatedDisk {
  readonly #files = new Map<string, FileOnDisk>();
  /** Renames and removals that need not outlive a crash, in their order: what was in the place before. */
  #changes: { readonly path: string; readonly before: FileOnDisk | undefined }[] = [];
  /** Files without a name that a process has open, by the name that they had. */
  readonly #taken = new Map<string, FileOnDisk>();
  faults: DiskFaults = { ...NO_DISK_FAULTS, maxSyncMs: 3 };

  constructor(
    private readonly random: Random,
    private readonly time: SimulatedTime,
  ) {}

  /** The folder as one process sees it, until it crashes; `inside` is that of a folder in it, with a slash. */
  folder(owner: { readonly dead: boolean }, inside = ""): DataFolder {
    const alive = () => {
      if (owner.dead) throw new Dead("the process has crashed");
    };
    const isHere = (path: string) => path.startsWith(inside) && !path.slice(inside.length).includes("/");
    return {
      path: (name) => inside + name,
      open: (name, create) => {
        alive();
        const found = this.#files.get(inside + name);
        if (!found && !create) return undefined;
        const file = found ?? newFile();
        this.#files.set(inside + name, file);
        return this.#handle(inside + name, file, owner, alive);
      },
      names: () => {
        alive();
        return this.names()
          .filter(isHere)
          .map((path) => path.slice(inside.length));
      },
      rename: (from, to) => {
        alive();
        const file = this.#files.get(inside + from);
        if (!file) throw new Error(`ENOENT: ${inside}${from}`);
        this.#change(inside + to, file);
        this.#change(inside + from, undefined);
      },
      remove: (name) => {
        alive();
        this.#change(inside + name, undefined);
      },
      make: async () => {},
      sync: () =>
        this.#later(owner, () => {
          for (const [path, file] of this.#files) if (isHere(path)) file.named = true;
          this.#changes = this.#changes.filter(({ path }) => !isHere(path));
        }),
    };
  }

  names(): string[] {
    return [...this.#files.keys()];
  }

  /** Puts a file in a place, or none. A crash may undo it. */
  #change(path: string, file: FileOnDisk | undefined): void {
    this.#changes.push({ path, before: this.#files.get(path) });
    if (file) this.#files.set(path, file);
    else this.#files.delete(path);
  }

  /** What outlives a crash for certain; empty where there is no such file. Not to be kept: it changes. */
  durable(name: string): Uint8Array {
    return (this.#taken.get(name) ?? this.#files.get(name))?.durable.bytes ?? NOTHING;
  }

  /** Another one where what is durable of a file may be another. */
  version(name: string): string {
    const file = this.#taken.get(name) ?? this.#files.get(name);
    if (!file) return "";
    let number = this.#numbers.get(file);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(file, number);
    }
    return `${number}.${file.version}`;
  }
  readonly #numbers = new Map<FileOnDisk, number>();

  /** What stands in the file now. Not to be kept: it changes. */
  cached(name: string): Uint8Array {
    return this.#files.get(name)?.cached.bytes ?? NOTHING;
  }

  /** Something takes a file away under the process that has it open, or puts a copy of it in its place. */
  take(name: string, copy: boolean): void {
    const file = this.#files.get(name);
    if (!file) return;
    this.#taken.set(name, file);
    this.put(name, copy ? file.cached.bytes.slice() : undefined);
  }

  /** Whether a process has a file open whose name is not its own any more. */
  get isTaken(): boolean {
    return this.#taken.size > 0;
  }

  /** Puts what was taken away in its place again, from the copy of another name. */
  restore(name: string, copy: string): void {
    this.#taken.delete(name);
    this.put(name, this.durable(copy).slice());
    this.put(copy, undefined);
  }

  /** An operator puts a file there, or takes it away, for certain. */
  put(name: string, bytes: Uint8Array | undefined): void {
    this.#changes = this.#changes.filter(({ path }) => path !== name);
    if (!bytes) {
      this.#files.delete(name);
      return;
    }
    const file = newFile();
    file.cached.write(bytes, 0);
    file.durable.write(bytes, 0);
    file.named = true;
    this.#files.set(name, file);
  }

  /** A process died; what it wrote stays in the cache. */
  processDied(): void {
    for (const file of this.#files.values()) {
      for (const sector of file.writing) file.dirty.add(sector);
      file.writing.clear();
    }
  }

  /** The machine loses its memory: of everything that was not synced, a random part stays. */
  loseCache(): void {
    // A journal loses its end.
    const kept = this.random.below(this.#changes.length + 1);
    for (const { path, before } of this.#changes.slice(kept).reverse()) {
      if (before) this.#files.set(path, before);
      else this.#files.delete(path);
    }
    this.#changes = [];
    for (const [name, file] of this.#files) {
      if (!file.named && this.random.chance(0.5)) {
        this.#files.delete(name);
        continue;
      }
      file.named = true;
      this.#tear(file);
      file.cached.resize(0);
      file.cached.write(file.durable.bytes, 0);
      file.dirty.clear();
      file.writing.clear();
    }
  }

  /** Flips one bit of what is on the disk; returns a function that flips it back. */
  flipBit(name: string, byte: number): () => void {
    const bit = 1 << this.random.below(8);
    const flip = () => {
      for (const content of [this.durable(name), this.cached(name)]) {
        if (byte < content.length) content[byte] = (content[byte] as number) ^ bit;
      }
    };
    flip();
    return flip;
  }

  #tear(file: FileOnDisk): void {
    const { cached, durable, dirty, writing } = file;
    const length = this.random.between(
      Math.min(durable.length, cached.length),
      Math.max(durable.length, cached.length),
    );
    const kept = [...dirty, ...writing].filter(() => this.random.chance(0.6));
    writeSectors(file, sectorsOf(cached, kept), length);
  }

  #handle(path: string, file: FileOnDisk, owner: { readonly dead: boolean }, alive: () => void): AppendFile {
    return {
      descriptorPath: "",
      lost: () => {
        const named = this.#files.get(path);
        if (named === file) return undefined;
        return named ? "was replaced by another file" : "was deleted";
      },
      size: () => {
        alive();
        return file.cached.length;
      },
      read: (into, at) => {
        alive();
        if (this.random.chance(this.faults.readFails)) throw failed("EIO: read", "EIO");
        const bytes = file.cached.bytes.subarray(at, at + into.length);
        into.set(bytes);
        return bytes.length;
      },
      write: (bytes, at) => {
        alive();
        const { shortWrite, writeFails, full } = this.faults;
        const room = full ? Math.max(0, file.cached.length - at) : bytes.length;
        if (room === 0 && bytes.length > 0) throw failed("ENOSPC: no space left on device", "ENOSPC");
        if (this.random.chance(writeFails)) throw failed("EIO: write", "EIO");
        const most = Math.min(room, bytes.length);
        const taken = this.random.chance(shortWrite) ? this.random.between(1, most) : most;
        file.cached.write(bytes.subarray(0, taken), at);
        for (let sector = Math.floor(at / SECTOR_BYTES); sector * SECTOR_BYTES < at + taken; sector++) {
          file.dirty.add(sector);
        }
        return taken;
      },
      sync: () => {
        // Only what was written before the call is promised.
        const { length } = file.cached;
        const numbers = file.dirty;
        const sectors = sectorsOf(file.cached, numbers);
        file.dirty = new Set();
        for (const sector of numbers) file.writing.add(sector);
        return this.#later(owner, () => {
          for (const sector of numbers) file.writing.delete(sector);
          // As Linux does it: the pages count as clean now, and no later sync will write them.
          if (this.random.chance(this.faults.syncFails)) throw failed("EIO: fdatasync", "EIO");
          writeSectors(file, sectors, length);
        });
      },
      truncate: (length) => {
        alive();
        file.cached.resize(length);
      },
      close: () => {},
    };
  }

  #later(owner: { readonly dead: boolean }, run: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.time.after(owner, this.random.between(0, this.faults.maxSyncMs), () => {
        try {
          run();
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}

function failed(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}
