/** A real disk that fails, is slow, or takes only a part, when a test wants it to. */

import { DiskFolder } from "../../src/eventlog/disk.ts";
import type { AppendFile, DataFolder } from "../../src/ports/append-file.ts";

/** What was done to which file. */
export type Operation =
  | { readonly do: "write"; readonly name: string; readonly at: number; readonly bytes: number }
  | { readonly do: "sync" | "close"; readonly name: string }
  | { readonly do: "truncate"; readonly name: string; readonly bytes: number };

export class FaultyDisk implements DataFolder {
  readonly operations: Operation[] = [];
  /** Called before each operation; what it throws, the operation throws. */
  before: (operation: Operation) => void = () => {};
  /** How many bytes a write takes at most. */
  takes = Number.POSITIVE_INFINITY;
  /** What a sync waits for before it is done. */
  slow: (name: string) => Promise<void> = async () => {};
  readonly #folder: DiskFolder;

  constructor(folder: string) {
    this.#folder = new DiskFolder(folder);
  }

  open(name: string, create: boolean): AppendFile | undefined {
    const file = this.#folder.open(name, create);
    return file && new FaultyFile(this, name, file);
  }

  async sync(): Promise<void> {
    this.did({ do: "sync", name: "" });
    await this.#folder.sync();
  }

  path(name: string): string {
    return this.#folder.path(name);
  }

  names(): readonly string[] {
    return this.#folder.names();
  }

  remove(name: string): void {
    this.#folder.remove(name);
  }

  rename(from: string, to: string): void {
    this.#folder.rename(from, to);
  }

  make(): Promise<void> {
    return this.#folder.make();
  }

  did(operation: Operation): void {
    this.operations.push(operation);
    this.before(operation);
  }

  /** The operations on a file of this kind, in order; "" is the folder itself. */
  of(what: Operation["do"], name: string): Operation[] {
    return this.operations.filter((operation) => operation.do === what && operation.name === name);
  }
}

class FaultyFile implements AppendFile {
  constructor(
    private readonly disk: FaultyDisk,
    private readonly name: string,
    private readonly file: AppendFile,
  ) {}

  get descriptorPath(): string {
    return this.file.descriptorPath;
  }

  lost(): string | undefined {
    return this.file.lost();
  }

  size(): number {
    return this.file.size();
  }

  read(into: Uint8Array, at: number): number {
    return this.file.read(into, at);
  }

  write(bytes: Uint8Array, at: number): number {
    const part = bytes.subarray(0, this.disk.takes);
    this.disk.did({ do: "write", name: this.name, at, bytes: part.length });
    return part.length === 0 ? 0 : this.file.write(part, at);
  }

  async sync(): Promise<void> {
    this.disk.did({ do: "sync", name: this.name });
    await this.disk.slow(this.name);
    await this.file.sync();
  }

  truncate(length: number): void {
    this.disk.did({ do: "truncate", name: this.name, bytes: length });
    this.file.truncate(length);
  }

  close(): void {
    this.disk.did({ do: "close", name: this.name });
    this.file.close();
  }
}
