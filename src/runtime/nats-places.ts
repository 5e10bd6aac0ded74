/**
 * Where the nats-server that coffer carries can be run from: memory first, for folders may be mounted noexec, be
 * full or be readable by others; the data folder last.
 *
 * A file has a name of its own at each start, so no two nodes share one and none can be prepared by somebody else.
 */

import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const NAME = "coffer-nats";
/** With those of versions that named it by its content. */
const OLD = new RegExp(`^${NAME}-[0-9a-f]+(?:\\.new)?$`);
const SHARED_MEMORY = "/dev/shm";

/** memfd_create(2), whose name is a C string; below 0 if it fails. */
export type CreateMemoryFile = (name: Uint8Array<ArrayBuffer>, flags: number) => number;
/** The descriptor is not inherited: the path is resolved before the new program closes it. */
const MFD_CLOEXEC = 0x1;
/** From Linux 6.3 on, where the default may be set to not executable. */
const MFD_EXEC = 0x10;

/**
 * Each call prepares one place and returns the server's path there, or throws. Removes what earlier starts have left
 * in `folder` and elsewhere.
 */
export function natsPlaces(
  executable: string,
  folder: string,
  createMemoryFile: CreateMemoryFile,
): readonly (() => string)[] {
  const { XDG_RUNTIME_DIR } = process.env;
  const folders = [...(XDG_RUNTIME_DIR ? [XDG_RUNTIME_DIR] : []), SHARED_MEMORY, tmpdir(), folder];
  for (const path of folders) removeOld(path);
  const bytes = () => readFileSync(executable);
  return [() => inMemory(bytes(), createMemoryFile), ...folders.map((path) => () => inFolder(bytes(), path))];
}

function inMemory(bytes: Uint8Array, create: CreateMemoryFile): string {
  const name = new TextEncoder().encode(`${NAME}\0`);
  let fd = create(name, MFD_CLOEXEC | MFD_EXEC);
  if (fd < 0) fd = create(name, MFD_CLOEXEC);
  if (fd < 0) throw new Error("memfd_create was refused");
  const path = `/proc/self/fd/${fd}`;
  writeFileSync(path, bytes);
  return path;
}

function inFolder(bytes: Uint8Array, folder: string): string {
  const path = join(folder, `${NAME}-${randomBytes(8).toString("hex")}`);
  try {
    writeFileSync(path, bytes, { flag: "wx", mode: 0o700 });
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
  return path;
}

/** Best effort: a file that cannot be looked at or removed does not matter to the server's start. */
function removeOld(folder: string): void {
  try {
    for (const name of readdirSync(folder)) if (OLD.test(name)) removeUnused(join(folder, name));
  } catch {
    return;
  }
}

function removeUnused(path: string): void {
  try {
    const { uid } = lstatSync(path);
    if (uid !== process.geteuid?.()) return;
    // Fails for a program that runs: a node of another version may need it for its next nats-server.
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW));
    rmSync(path);
  } catch {
    return;
  }
}
