/** Who may call, whatever becomes of keys.json under a running node. */

import { expect, test } from "bun:test";
import { renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeKey } from "../../src/keys/key.ts";
import { BrokenKeyFile, writeKeys } from "../../src/keys/key-file.ts";
import { KeyWatch } from "../../src/keys/key-watch.ts";
import type { KeyRecord, KeysInForce } from "../../src/ports/keys.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";

const record = (name: string): KeyRecord =>
  makeKey({ name, scope: "read", account: undefined, created: "2026-01-02T03:04:05.678Z" }).record;
const A = record("a");
const B = record("b");

/** A node's watch of a folder, in which a test puts what it likes. */
class Watched {
  readonly data = temporaryFolder();
  readonly file = join(this.data, "keys.json");
  readonly errors: string[] = [];
  readonly told: KeysInForce[] = [];
  #watch: KeyWatch | undefined;

  start(): this {
    this.#watch = new KeyWatch(this.data);
    return this;
  }

  /** Who may call after the next look. */
  look(): KeysInForce {
    if (!this.#watch) throw new Error("it was not started");
    const log = { info: () => {}, error: (_: object, message: string) => this.errors.push(message) };
    this.#watch.check(log, (keys) => this.told.push(keys));
    return this.#watch.inForce;
  }
}

test("without the file everyone may call, and from its coming on only its keys", () => {
  const watched = new Watched().start();
  expect(watched.look()).toBe("everyone");
  writeKeys(watched.data, [A]);
  expect(watched.look()).toEqual([A]);
  writeKeys(watched.data, [A, B]);
  expect(watched.look()).toEqual([A, B]);
  writeKeys(watched.data, [B]);
  expect(watched.look()).toEqual([B]);
  expect(watched.look()).toEqual([B]);
  expect(watched.told).toEqual([[A], [A, B], [B]]);
  expect(watched.errors).toEqual([]);
});

test("an empty list lets nobody in, from the start or later", () => {
  const watched = new Watched();
  writeKeys(watched.data, []);
  expect(watched.start().look()).toEqual([]);
  const later = new Watched().start();
  writeKeys(later.data, []);
  expect(later.look()).toEqual([]);
});

test("a file that goes lets nobody in, and says so once; its keys come back with it", () => {
  const watched = new Watched();
  writeKeys(watched.data, [A]);
  watched.start();
  renameSync(watched.file, `${watched.file}.away`);
  expect(watched.look()).toEqual([]);
  expect(watched.look()).toEqual([]);
  expect(watched.errors).toEqual([expect.stringContaining("keys.json is missing: all requests are refused")]);
  renameSync(`${watched.file}.away`, watched.file);
  expect(watched.look()).toEqual([A]);
  expect(watched.told).toEqual([[], [A]]);
  rmSync(watched.file);
  expect(watched.look()).toEqual([]);
  expect(watched.errors).toHaveLength(2);
});

test("a file that breaks leaves the keys that were read before, and says so", () => {
  const watched = new Watched();
  writeKeys(watched.data, [A]);
  watched.start();
  writeFileSync(watched.file, "[{");
  expect(watched.look()).toEqual([A]);
  expect(watched.errors).toEqual([expect.stringMatching(/keys\.json is broken.*stay valid/)]);
  writeKeys(watched.data, [B]);
  expect(watched.look()).toEqual([B]);
  expect(watched.errors).toHaveLength(1);
});

test("a broken file that comes to a node without keys lets nobody in", () => {
  const watched = new Watched().start();
  writeFileSync(watched.file, "{");
  expect(watched.look()).toEqual([]);
  expect(watched.errors).toEqual([expect.stringContaining("all requests are refused")]);
  rmSync(watched.file);
  expect(watched.look()).toEqual([]);
});

test("a broken file refuses the start", () => {
  const watched = new Watched();
  writeFileSync(watched.file, "{");
  expect(() => watched.start()).toThrow(BrokenKeyFile);
});

test("a change that leaves size and time as they were is seen", () => {
  const watched = new Watched();
  const at = new Date("2026-01-01T00:00:00Z");
  const put = (keys: readonly KeyRecord[]) => {
    writeFileSync(watched.file, JSON.stringify(keys));
    utimesSync(watched.file, at, at);
  };
  put([A]);
  watched.start();
  put([B]);
  expect(watched.look()).toEqual([B]);
  put([A]);
  expect(watched.look()).toEqual([A]);
});
