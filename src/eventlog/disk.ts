/** Files on the machine's own disk. */

import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { AppendFile, FileFolder } from "../ports/append-file.ts";

export class DiskFolder implements FileFolder {
  /** `writable: false` opens files for reading only. */
  constructor(
    private readonly folder: string,
    private readonly writable = true,
  ) {}

  open(name: string, create: boolean): AppendFile | undefined {
    const access = this.writable ? constants.O_RDWR : constants.O_RDONLY;
    try {
      return new DiskFile(openSync(this.path(name), create ? access | constants.O_CREAT : access, 0o640));
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

  path(name: string): string {
    return join(this.folder, name);
  }
}

class DiskFile implements AppendFile {
  constructor(private readonly fd: number) {}

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
