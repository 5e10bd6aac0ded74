/** Copies of a part of the log beside it. */

import type { AppendFile, DataFolder, ReadableFile } from "../ports/append-file.ts";
import { writeAll } from "./write-all.ts";

const COPY_BYTES = 1 << 20;
/** Others run between two syncs of a long copy. */
const SYNC_BYTES = 64 << 20;

/** Copies these bytes to a new file of the folder; its path when they are on disk. Leaves no file if that fails. */
export async function keepBytes(
  folder: DataFolder,
  name: string,
  file: ReadableFile,
  from: number,
  to: number,
): Promise<string> {
  const kept = folder.open(name, true);
  if (!kept) throw new Error(`${folder.path(name)} could not be created`);
  try {
    for (let at = from; at < to; at += SYNC_BYTES) {
      copyBytes(file, at, Math.min(to, at + SYNC_BYTES), kept, at - from);
      await kept.sync();
    }
  } catch (error) {
    folder.remove(name);
    throw error;
  } finally {
    kept.close();
  }
  await folder.sync();
  return folder.path(name);
}

export function copyBytes(
  source: ReadableFile,
  from: number,
  to: number,
  target: AppendFile,
  targetAt: number,
): void {
  const buffer = new Uint8Array(Math.max(0, Math.min(COPY_BYTES, to - from)));
  for (let at = from; at < to; ) {
    const read = source.read(buffer.subarray(0, Math.min(buffer.length, to - at)), at);
    if (read === 0) throw new Error(`the file was truncated at byte ${at} while it was copied`);
    writeAll(target, buffer.subarray(0, read), targetAt + at - from);
    at += read;
  }
}

/** A name that no file of the folder has: `name` itself if `first` is 0, or with a number behind it. */
export function unusedName(folder: DataFolder, name: string, first: 0 | 1 = 0): string {
  const names = folder.names();
  for (let number: number = first; ; number++) {
    const candidate = number === 0 ? name : `${name}-${number}`;
    if (!names.includes(candidate)) return candidate;
  }
}
