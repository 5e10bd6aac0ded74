export interface ReadableFile {
  /** The length in bytes. */
  size(): number;
  /** Reads up to `into.length` bytes at `at`; returns how many there were (0 at the end). */
  read(into: Uint8Array, at: number): number;
}

/** A file whose path may come to name another one while it is open: deleted, moved or replaced by someone else. */
export interface WatchedFile {
  /** What became of the file ("was deleted"); undefined while its path names it. */
  lost(): string | undefined;
}

/** A file that is written at places and synced, as events.log and its mark need it. Every error is thrown. */
export interface AppendFile extends ReadableFile, WatchedFile {
  /** A path that names this file while it is open, whatever happens to its own. */
  readonly descriptorPath: string;
  /** Writes at `at`, maybe only a part; returns how many bytes were taken. */
  write(bytes: Uint8Array, at: number): number;
  /** Resolves when everything written is on disk. */
  sync(): Promise<void>;
  truncate(length: number): void;
  close(): void;
}

/** The ledger's folder. */
export interface DataFolder {
  /** Opens a file for reading and writing; makes it where `create` is set. Undefined where it is not there. */
  open(name: string, create: boolean): AppendFile | undefined;
  /** Resolves when the names in the folder are on disk. */
  sync(): Promise<void>;
  /** What errors call the file. */
  path(name: string): string;
  /** The names of the files that are there. */
  names(): readonly string[];
  remove(name: string): void;
  /** Creates the folder if it is gone. Resolves when it is on disk. */
  make(): Promise<void>;
}

/** A folder whose files are replaced as a whole. */
export interface FileFolder extends DataFolder {
  rename(from: string, to: string): void;
}
