/** keys.json: what is read of it, and what is refused. */

import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeKey } from "../../src/keys/key.ts";
import { BrokenKeyFile, MAX_KEYS, readKeys, writeKeys } from "../../src/keys/key-file.ts";
import type { KeyRecord } from "../../src/ports/keys.ts";
import { temporaryFolder } from "../support/folders.ts";

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
