/** Files on the machine's own disk. */

import {
  type BigIntStats,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve as resolvePath } from "node:path";
import process from "node:process";
import type { AppendFile, DataFolder } from "../ports/append-file.ts";

export class DiskFolder implements DataFolder {
  /** `writable: false` opens files for reading only. */
  constructor(
    private readonly folder: string,
    private readonly writable = true,
  ) {}

  open(name: string, create: boolean): AppendFile | undefined {
    const access = this.writable ? constants.O_RDWR : constants.O_RDONLY;
    const path = this.path(name);
    try {
      return new DiskFile(openSync(path, create ? access | constants.O_CREAT : access, 0o640), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT" && !create) return undefined;
      throw error;
    }
  }

  sync(): Promise<void> {
    const fd = openSync(this.folder, constants.O_RDONLY);
    return new Promise((resolve, reject) => {
      fsync(fd, (error) => {
        closeSync(fd);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  names(): readonly string[] {
    return readdirSync(this.folder);
  }

  rename(from: string, to: string): void {
    renameSync(this.path(from), this.path(to));
  }

  remove(name: string): void {
    rmSync(this.path(name));
  }

  async make(): Promise<void> {
    makeFolders(this.folder);
  }

  path(name: string): string {
    return join(this.folder, name);
  }
}

class DiskFile implements AppendFile {
  constructor(
    private readonly fd: number,
    private readonly path: string,
  ) {}

  lost(): string | undefined {
    return lostPath(this.fd, this.path);
  }

  get descriptorPath(): string {
    return descriptorPath(this.fd) ?? `descriptor ${this.fd} of process ${process.pid}`;
  }

  size(): number {
    return fstatSync(this.fd).size;
  }

  read(into: Uint8Array, at: number): number {
    return readSync(this.fd, into, 0, into.length, at);
  }

  write(bytes: Uint8Array, at: number): number {
    return writeSync(this.fd, bytes, 0, bytes.length, at);
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.fd, (error) => (error ? reject(error) : resolve()));
    });
  }

  truncate(length: number): void {
    ftruncateSync(this.fd, length);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Creates a folder and those above it, each with its name on disk. */
export function makeFolders(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o750 });
  if (first === undefined) return;
  const top = resolvePath(first);
  for (let made = resolvePath(path); ; made = dirname(made)) {
    syncFolder(dirname(made));
    if (made === top || made === dirname(made)) return;
  }
}

/** Returns when the names in the folder are on disk. */
export function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What became of the file that is open as `fd`; undefined while `path` names it. */
export function lostPath(fd: number, path: string): string | undefined {
  const open = fstatSync(fd, { bigint: true });
  const named = statOf(path);
  if (named && isSame(named, open)) return undefined;
  if (open.nlink === 0n) return named ? "was replaced by another file" : "was deleted";
  const descriptor = descriptorPath(fd);
  return `was moved${descriptor ? ` to ${readlinkSync(descriptor)}` : ""}${named ? ", and another file has its name" : ""}`;
}

/** Undefined if there is no such file, also because a folder above it is a file now. */
function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
    throw error;
  }
}

function isSame(a: BigIntStats, b: BigIntStats): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

/** Undefined if the system has no /proc. Deno numbers files in its own way, so the kernel's number is looked up. */
function descriptorPath(fd: number): string | undefined {
  const folder = `/proc/${process.pid}/fd`;
  const open = fstatSync(fd, { bigint: true });
  try {
    return [String(fd), ...readdirSync(folder)]
      .map((number) => join(folder, number))
      .find((path) => {
        const named = statOf(path);
        return named !== undefined && isSame(named, open);
      });
  } catch {
    return undefined;
  }
}
