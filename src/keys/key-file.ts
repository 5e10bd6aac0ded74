/**
 * keys.json: the keys of a ledger's folder, as a JSON array of records. It is replaced as a whole, so that whoever
 * reads it finds the old ones or the new ones.
 *
 * What is not understood is refused, further fields too: a newer version may have put a restriction there.
 */

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { AccountPrefix } from "../domain/account-prefix.ts";
import { type KeyRecord, SCOPES } from "../ports/keys.ts";
import { InvalidInput, type JsonValue, parseJson, pointer } from "../wire/strict-json.ts";

export const KEYS_NAME = "keys.json";
/** How many keys a ledger can have. */
export const MAX_KEYS = 4_096;
const MODE = 0o600;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const NAME_MUST = "must be 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit";

/** The file is there, and cannot be read or understood. The message names it. */
export class BrokenKeyFile extends Error {
  override readonly name = "BrokenKeyFile";
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

/** Resolves nothing before the disk has it. One at a time: whoever calls holds the lock. */
export function writeKeys(data: string, keys: readonly KeyRecord[]): void {
  const path = join(data, KEYS_NAME);
  const next = `${path}.new`;
  rmSync(next, { force: true }); // what a crash left may have another mode
  const fd = openSync(next, "wx", MODE);
  try {
    const bytes = Buffer.from(`${JSON.stringify(keys, undefined, 2)}\n`);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(next, path);
  const folder = openSync(data, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
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
  if (value.length > MAX_KEYS) throw new InvalidInput(`must be at most ${MAX_KEYS} keys`, "");
  const records = value.map((item, index) => recordOf(item, pointer("", index)));
  for (const field of ["name", "id"] as const) {
    const seen = new Set(records.map((record) => record[field]));
    if (seen.size < records.length) throw new InvalidInput(`have the same ${field} twice`, "");
  }
  return records;
}

function recordOf(value: JsonValue, path: string): KeyRecord {
  if (!(value instanceof Map)) throw new InvalidInput("must be an object", path);
  for (const key of value.keys())
    if (!Object.hasOwn(FIELDS, key)) throw new InvalidInput("has a field that is not known", path);
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
