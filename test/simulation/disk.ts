/**
 * A simulated disk. What is written lives in a cache until it is synced; a crash keeps a random part of
 * what was not synced, in sectors, in any order. Writes may be short; writes and syncs may fail.
 */

import type { AppendFile, FileFolder } from "../../src/ports/append-file.ts";
import type { Random } from "./random.ts";
import type { SimulatedTime } from "./time.ts";

const SECTOR_BYTES = 64; // smaller than a real one, so that a torn line is likely

export interface DiskFaults {
  /** Probabilities for each operation. */
  shortWrite: number;
  writeFails: number;
  syncFails: number;
  /** No byte more is taken. */
  full: boolean;
  maxSyncMs: number;
}

interface FileOnDisk {
  /** What a reader sees. */
  cached: Uint8Array;
  /** What outlives a crash for certain. */
  durable: Uint8Array;
  /** Sectors that the next sync has to write. One that a failed sync has dropped is in neither set. */
  dirty: Set<number>;
  /** Sectors that a sync is writing. */
  writing: Set<number>;
  /** Whether the name outlives a crash for certain. */
  named: boolean;
}

/** An operation of a process that has crashed. */
export class Dead extends Error {
  override readonly name = "Dead";
}

function newFile(): FileOnDisk {
  return {
    cached: new Uint8Array(),
    durable: new Uint8Array(),
    dirty: new Set(),
    writing: new Set(),
    named: false,
  };
}

function writeSectors(
  from: Uint8Array,
  sectors: Iterable<number>,
  length: number,
  to: Uint8Array,
): Uint8Array {
  const result = new Uint8Array(length);
  result.set(to.subarray(0, length));
  for (const sector of sectors) {
    const at = sector * SECTOR_BYTES;
    if (at < length) result.set(from.subarray(at, Math.min(at + SECTOR_BYTES, length, from.length)), at);
  }
  return result;
}

export class SimulatedDisk {
  readonly #files = new Map<string, FileOnDisk>();
  /** Renames and removals that need not outlive a crash, in their order: what was in the place before. */
  #changes: { readonly path: string; readonly before: FileOnDisk | undefined }[] = [];
  faults: DiskFaults = { shortWrite: 0, writeFails: 0, syncFails: 0, full: false, maxSyncMs: 3 };

  constructor(
    private readonly random: Random,
    private readonly time: SimulatedTime,
  ) {}

  /** The folder as one process sees it, until it crashes; `inside` is that of a folder in it, with a slash. */
  folder(owner: { readonly dead: boolean }, inside = ""): FileFolder {
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
        return this.#handle(file, owner, alive);
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

  /** What outlives a crash for certain; empty where there is no such file. */
  durable(name: string): Uint8Array {
    const file = this.#files.get(name);
    return file ? file.durable : new Uint8Array();
  }

  /** What stands in the file now. */
  cached(name: string): Uint8Array {
    return this.#files.get(name)?.cached ?? new Uint8Array();
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
      file.durable = this.#torn(file);
      file.cached = file.durable.slice();
      file.dirty = new Set();
      file.writing = new Set();
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

  #torn({ cached, durable, dirty, writing }: FileOnDisk): Uint8Array {
    const length = this.random.between(
      Math.min(durable.length, cached.length),
      Math.max(durable.length, cached.length),
    );
    const kept = [...dirty, ...writing].filter(() => this.random.chance(0.6));
    return writeSectors(cached, kept, length, durable);
  }

  #handle(file: FileOnDisk, owner: { readonly dead: boolean }, alive: () => void): AppendFile {
    return {
      descriptorPath: "",
      lost: () => undefined,
      size: () => {
        alive();
        return file.cached.length;
      },
      read: (into, at) => {
        alive();
        const bytes = file.cached.subarray(at, at + into.length);
        into.set(bytes);
        return bytes.length;
      },
      write: (bytes, at) => {
        alive();
        const { shortWrite, writeFails, full } = this.faults;
        if (full) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
        if (this.random.chance(writeFails)) throw Object.assign(new Error("EIO: write"), { code: "EIO" });
        const taken = this.random.chance(shortWrite) ? this.random.between(1, bytes.length) : bytes.length;
        const length = Math.max(file.cached.length, at + taken);
        const cached = new Uint8Array(length);
        cached.set(file.cached);
        cached.set(bytes.subarray(0, taken), at);
        file.cached = cached;
        for (let sector = Math.floor(at / SECTOR_BYTES); sector * SECTOR_BYTES < at + taken; sector++) {
          file.dirty.add(sector);
        }
        return taken;
      },
      sync: () => {
        // Only what was written before the call is promised.
        const content = file.cached.slice();
        const sectors = file.dirty;
        file.dirty = new Set();
        for (const sector of sectors) file.writing.add(sector);
        return this.#later(owner, () => {
          for (const sector of sectors) file.writing.delete(sector);
          if (this.random.chance(this.faults.syncFails)) {
            // As Linux does it: the pages count as clean now, and no later sync will write them.
            throw Object.assign(new Error("EIO: fdatasync"), { code: "EIO" });
          }
          file.durable = writeSectors(content, sectors, content.length, file.durable);
        });
      },
      truncate: (length) => {
        alive();
        file.cached = file.cached.slice(0, length);
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
