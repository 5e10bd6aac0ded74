/**
 * keys.json: the keys of a ledger's folder, as a JSON array of records. It is replaced as a whole, so that whoever
 * reads it finds the old ones or the new ones.
 *
 * What is not understood is refused, further fields too: a newer version may have put a restriction there.
 */

import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { AccountPrefix } from "../domain/account-prefix.ts";
import { type KeyRecord, SCOPES } from "../ports/keys.ts";
import { InvalidInput, type JsonValue, parseJson, pointer } from "../wire/strict-json.ts";

export const KEYS_NAME = "keys.json";
/** Held by whoever changes the keys. Where it is, there are keys, or there were. */
export const KEYS_LOCK_NAME = "keys.lock";
/** How many keys a ledger can have. */
export const MAX_KEYS = 4_096;
const MODE = 0o600;
const GROUP_READS = 0o040;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const NAME_MUST = "must be 1 to 64 characters of A-Z a-z 0-9 . _ -, starting with a letter or digit";

/** The file is there, and cannot be read or understood. The message names it. */
export class BrokenKeyFile extends Error {
  override readonly name = "BrokenKeyFile";
}

/** What is made could not be given to whom the keys belong. Nothing was changed. */
export class NotTheOwner extends Error {
  override readonly name = "NotTheOwner";
}

export function isKeyName(text: string): boolean {
  return NAME.test(text);
}

/** Undefined where there is no such file. Throws BrokenKeyFile. */
export function readKeys(data: string): readonly KeyRecord[] | undefined {
  const path = join(data, KEYS_NAME);
  try {
    return recordsOf(parseJson(readFileSync(path)));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (error instanceof InvalidInput)
      throw new BrokenKeyFile(
        `${path} is broken: ${error.path === "" ? "" : `${error.path} `}${error.message}`,
      );
    if (code === undefined) throw error;
    throw new BrokenKeyFile(`${path} cannot be read: ${code}`);
  }
}

/**
 * Resolves nothing before the disk has it. One at a time: whoever calls holds the lock. The file belongs to whom the
 * one before belonged, or else the folder: a node could not read one that root has made for itself. Throws
 * NotTheOwner.
 */
export function writeKeys(data: string, keys: readonly KeyRecord[]): void {
  const path = join(data, KEYS_NAME);
  const next = `${path}.new`;
  rmSync(next, { force: true }); // what a crash left may have another mode
  const bytes = Buffer.from(`${JSON.stringify(keys, undefined, 2)}\n`);
  make(next, statSync(path, { throwIfNoEntry: false }) ?? statSync(data), bytes);
  renameSync(next, path);
  const folder = openSync(data, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Makes the file that is to be locked, where it is missing; its path. Throws NotTheOwner. */
export function makeKeysLock(data: string): string {
  const path = join(data, KEYS_LOCK_NAME);
  if (existsSync(path)) return path;
  const next = `${path}.${process.pid}`;
  rmSync(next, { force: true });
  make(next, statSync(join(data, KEYS_NAME), { throwIfNoEntry: false }) ?? statSync(data), Buffer.alloc(0));
  try {
    linkSync(next, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(next);
  }
  return path;
}

/** Makes a file on disk that belongs to whom `like` belongs; leaves none where that fails. */
function make(path: string, like: Stats, bytes: Buffer): void {
  const fd = openSync(path, "wx", MODE);
  try {
    giveTo(like, fd, path);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } catch (error) {
    rmSync(path);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function giveTo(like: Stats, fd: number, path: string): void {
  const { uid, gid } = fstatSync(fd);
  const isForGroup = like.isFile() && (like.mode & GROUP_READS) !== 0;
  try {
    if (uid !== like.uid || (isForGroup && gid !== like.gid)) fchownSync(fd, like.uid, like.gid);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new NotTheOwner(
      `cannot change the owner of ${path} to user ${like.uid}, who owns the keys (${code}): run coffer keys as the user of the node; nothing was changed`,
    );
  }
  if (isForGroup) fchmodSync(fd, MODE | GROUP_READS);
}

type Check = (text: string) => boolean;
const FIELDS: Readonly<Record<keyof KeyRecord, Check>> = {
  name: isKeyName,
  id: (text) => /^[0-9a-f]{12}$/.test(text),
  scope: (text) => SCOPES.some((scope) => scope === text),
  account: (text) => AccountPrefix.parse(text) !== undefined,
  salt: (text) => /^[0-9a-f]{32}$/.test(text),
  hash: (text) => /^[0-9a-f]{64}$/.test(text),
  created: (text) => !Number.isNaN(Date.parse(text)),
};

/** Throws InvalidInput, whose message never has what stands in the file. */
function recordsOf(value: JsonValue): readonly KeyRecord[] {
  if (!Array.isArray(value)) throw new InvalidInput("must be an array of keys", "");
  if (value.length > MAX_KEYS) throw new InvalidInput(`must have at most ${MAX_KEYS} keys`, "");
  const records = value.map((item, index) => recordOf(item, pointer("", index)));
  for (const field of ["name", "id"] as const) {
    const seen = new Set(records.map((record) => record[field]));
    if (seen.size < records.length)
      throw new InvalidInput(`must not have two keys with the same ${field}`, "");
  }
  return records;
}

function recordOf(value: JsonValue, path: string): KeyRecord {
  if (!(value instanceof Map)) throw new InvalidInput("must be an object", path);
  for (const key of value.keys())
    if (!Object.hasOwn(FIELDS, key)) throw new InvalidInput("has an unknown field", path);
  const record: Record<string, string> = {};
  for (const [field, isGood] of Object.entries(FIELDS)) {
    const text = value.get(field);
    if (text === undefined && field === "account") continue;
    if (typeof text !== "string" || !isGood(text))
      throw new InvalidInput("is missing or malformed", pointer(path, field));
    record[field] = text;
  }
  return record as unknown as KeyRecord;
}
