/** Temporary folders, which are removed at the end of the run. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Linux has it: a file system in memory. */
const MEMORY = "/dev/shm";

const made: string[] = [];

export function temporaryFolder(within = tmpdir()): string {
  const folder = mkdtempSync(join(within, "coffer-test-"));
  made.push(folder);
  return folder;
}

/** One in memory, where a sync costs nothing: for tests of what stands in small files, by the thousand. */
export function memoryFolder(): string {
  return temporaryFolder(existsSync(MEMORY) ? MEMORY : tmpdir());
}

export function removeTemporaryFolders(): void {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** Every file of a folder, and what it holds, as text that can be compared. */
export function contentsOf(folder: string): Readonly<Record<string, string>> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = files.map((file) => join(file.parentPath, file.name)).sort();
  return Object.fromEntries(paths.map((path) => [path, readFileSync(path, "latin1")]));
}
