/** keys.json: what is read of it, and what is refused. */

import { expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeKey } from "../../src/keys/key.ts";
import {
  BrokenKeyFile,
  MAX_KEYS,
  makeKeysLock,
  NotTheOwner,
  readKeys,
  writeKeys,
} from "../../src/keys/key-file.ts";
import type { KeyRecord } from "../../src/ports/keys.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";

function record(name: string, account?: string): KeyRecord {
  return makeKey({ name, scope: "write", account, created: "2026-01-02T03:04:05.678Z" }).record;
}

/** Reads a file that holds `content`; throws what reading it throws. */
function readText(content: string | Uint8Array): readonly KeyRecord[] | undefined {
  const data = temporaryFolder();
  writeFileSync(join(data, "keys.json"), content);
  return readKeys(data);
}

test("without the file there are none; what was written is read", () => {
  const data = temporaryFolder();
  expect(readKeys(data)).toBeUndefined();
  expect(readKeys(join(data, "missing"))).toBeUndefined();
  writeFileSync(join(data, "file"), "");
  expect(readKeys(join(data, "file"))).toBeUndefined();
  const keys = [record("shop", "shop-"), record("Till_2.a")];
  writeKeys(data, keys);
  expect(readKeys(data)).toEqual(keys);
  writeKeys(data, []);
  expect(readKeys(data)).toEqual([]);
});

test("only its owner reads it, whatever a crash left behind", () => {
  const data = temporaryFolder();
  const left = join(data, "keys.json.new");
  writeFileSync(left, "half of", { mode: 0o644 });
  chmodSync(left, 0o644);
  writeKeys(data, [record("shop")]);
  expect(statSync(join(data, "keys.json")).mode & 0o777).toBe(0o600);
  expect(readdirSync(data)).toEqual(["keys.json"]);
});

test("it is replaced as a whole, and a link that waits for it is not followed", () => {
  const data = temporaryFolder();
  const other = join(data, "other");
  writeFileSync(other, "kept");
  symlinkSync(other, join(data, "keys.json.new"));
  writeKeys(data, []);
  expect(statSync(other).size).toBe(4);
  const before = statSync(join(data, "keys.json")).ino;
  writeFileSync(join(data, "holder"), ""); // so that the number is not given again
  writeKeys(data, [record("shop")]);
  expect(statSync(join(data, "keys.json")).ino).not.toBe(before);
});

const isRoot = process.geteuid?.() === 0;
/** Whom a node runs as where the test is root; else nobody can be given anything. */
const NODE = isRoot ? 65_533 : (process.geteuid?.() as number);
const ownerOf = (path: string) => [statSync(path).uid, statSync(path).mode & 0o777];

test("it belongs to whom the folder belongs, and then to whom it belonged, whoever writes it", () => {
  const data = temporaryFolder();
  const file = join(data, "keys.json");
  if (isRoot) chownSync(data, NODE, NODE);
  const lock = makeKeysLock(data);
  writeKeys(data, [record("shop")]);
  expect([ownerOf(lock), ownerOf(file)]).toEqual([
    [NODE, 0o600],
    [NODE, 0o600],
  ]);
  if (isRoot) chownSync(data, 0, 0);
  writeKeys(data, []);
  expect(ownerOf(file)).toEqual([NODE, 0o600]);
  expect(makeKeysLock(data)).toBe(lock);
  expect(readdirSync(data).sort()).toEqual(["keys.json", "keys.lock"]);
});

test("a group that was let read it goes on reading it", () => {
  const data = temporaryFolder();
  const file = join(data, "keys.json");
  writeKeys(data, [record("shop")]);
  chmodSync(file, 0o644);
  if (isRoot) chownSync(file, 0, NODE);
  const { gid } = statSync(file);
  writeKeys(data, []);
  expect([statSync(file).gid, statSync(file).mode & 0o777]).toEqual([gid, 0o640]);
});

test.skipIf(!isRoot)("where it cannot be given to its owner nothing is changed", () => {
  const data = temporaryFolder();
  writeKeys(data, [record("shop")]);
  const before = readKeys(data);
  for (const path of [data, join(data, "keys.json")]) chownSync(path, 0, 0);
  chmodSync(data, 0o777);
  chmodSync(join(data, "keys.json"), 0o604);
  process.seteuid?.(NODE);
  try {
    expect(() => writeKeys(data, [])).toThrow(/cannot change the owner of .* to user 0.*nothing was changed/);
    expect(() => makeKeysLock(data)).toThrow(NotTheOwner);
  } finally {
    process.seteuid?.(0);
  }
  expect([readKeys(data), readdirSync(data)]).toEqual([before, ["keys.json"]]);
});

const GOOD = record("shop", "shop-");
const change = (fields: object) => JSON.stringify([{ ...GOOD, ...fields }]);
const BROKEN: readonly (readonly [what: string, content: string | Uint8Array])[] = [
  ["nothing", ""],
  ["half of it", change({}).slice(0, -20)],
  ["no UTF-8", Uint8Array.of(0x5b, 0xff, 0x5d)],
  ["no array", JSON.stringify(GOOD)],
  ["null", "null"],
  ["a key that is no object", "[1]"],
  ["a field that is not known", change({ expires: "2026-01-01T00:00:00Z" })],
  ["the same field twice", change({}).replace('"name"', '"scope":"admin","name"')],
  ["the same name twice", JSON.stringify([record("shop"), record("shop")])],
  ["the same id twice", JSON.stringify([GOOD, { ...record("other"), id: GOOD.id }])],
  ["another scope", change({ scope: "root" })],
  ["no scope", change({ scope: undefined })],
  ["no hash", change({ hash: undefined })],
  ["a short hash", change({ hash: GOOD.hash.slice(2) })],
  ["a hash in capitals", change({ hash: "A".repeat(64) })],
  ["no salt", change({ salt: "" })],
  ["another id", change({ id: "shop" })],
  ["another name", change({ name: "a b" })],
  ["an empty prefix", change({ account: "" })],
  ["a prefix that is null", change({ account: null })],
  ["a prefix of the ledger's own", change({ account: "@" })],
  ["another time", change({ created: "yesterday" })],
  ["too many", JSON.stringify(Array.from({ length: MAX_KEYS + 1 }, (_, i) => record(`k${i}`)))],
];

for (const [what, content] of BROKEN) {
  test(`a file with ${what} is broken, and nothing of it is told`, () => {
    let error: unknown;
    try {
      readText(content);
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof BrokenKeyFile)) throw error ?? new Error("it was read");
    expect(error.message).toContain("keys.json is broken");
    for (const secret of [GOOD.hash, GOOD.salt, GOOD.id]) expect(error.message).not.toContain(secret);
  });
}

test("as many as there may be are read", () => {
  const keys = Array.from({ length: MAX_KEYS }, (_, i) => record(`k${i}`, "a"));
  expect(readText(JSON.stringify(keys))).toHaveLength(MAX_KEYS);
});

test("what is no file is broken", () => {
  const data = temporaryFolder();
  mkdirSync(join(data, "keys.json"));
  expect(() => readKeys(data)).toThrow(/keys\.json cannot be read: EISDIR/);
});
