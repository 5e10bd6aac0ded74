/** Who is let in by which header, and what a wrong key costs. */

import { expect, spyOn, test } from "bun:test";
import crypto from "node:crypto";
import { makeKey } from "../../src/keys/key.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import type { Caller, Scope } from "../../src/ports/keys.ts";

function newKey(name: string, scope: Scope = "read", account?: string) {
  return makeKey({ name, scope, account, created: "2026-01-02T03:04:05.678Z" });
}

const SHOP = newKey("shop", "write", "shop-");
const OTHER = newKey("other");

/** Twice: the second time it is compared with what was remembered. */
function callerOf(ring: KeyRing, header: string | null) {
  const first = ring.callerOf(header);
  expect(ring.callerOf(header)).toEqual(first);
  return first;
}

test("a key has 256 random bits, and a record that has nothing of them", () => {
  expect(SHOP.key).toMatch(/^coffer_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
  const { record, key } = newKey("shop", "write", "shop-");
  expect(key).not.toBe(SHOP.key);
  expect([record.salt, record.hash, record.id]).not.toContain(SHOP.record.salt);
  expect(JSON.stringify(record)).not.toContain(key.slice(-43));
  expect(JSON.stringify(record)).not.toContain(Buffer.from(key.slice(-43), "base64url").toString("hex"));
});

test("whoever brings a key is known by it", () => {
  const ring = new KeyRing([SHOP.record, OTHER.record]);
  expect(ring.everyone).toBeUndefined();
  const shop = callerOf(ring, `Bearer ${SHOP.key}`);
  if (typeof shop === "string") throw new Error(shop);
  expect([shop.scope, shop.within?.text]).toEqual(["write", "shop-"]);
  expect(callerOf(ring, `Bearer ${OTHER.key}`)).toEqual({ scope: "read", within: undefined, ended: false });
});

test("the scheme is read in any case, with any number of spaces", () => {
  const ring = new KeyRing([OTHER.record]);
  for (const scheme of ["Bearer", "bearer", "BEARER", "bEaReR", "bearer   ", "Bearer "])
    expect([scheme, typeof callerOf(ring, `${scheme} ${OTHER.key}`)]).toEqual([
      scheme,
      scheme === "Bearer " ? "string" : "object",
    ]);
});

const { key } = OTHER;
const last = key.endsWith("A") ? "B" : "A";
const WRONG: readonly (readonly [what: string, header: string])[] = [
  ["another secret", `Bearer ${key.slice(0, -43)}${SHOP.key.slice(-43)}`],
  ["another last character", `Bearer ${key.slice(0, -1)}${last}`],
  ["one character less", `Bearer ${key.slice(0, -1)}`],
  ["one character more", `Bearer ${key}A`],
  ["another case", `Bearer ${key.toUpperCase()}`],
  ["another word before it", `Bearer coffee_${key.slice(7)}`],
  ["an unknown id", `Bearer coffer_${"0".repeat(12)}${key.slice(19)}`],
  ["padding", `Bearer ${key}=`],
  ["two keys", `Bearer ${key}, Bearer ${key}`],
  ["a space behind it", `Bearer ${key} `],
  [
    "characters that end in the right bytes",
    `Bearer ${key.slice(0, -1)}${String.fromCharCode(key.charCodeAt(62) + 0x100)}`,
  ],
  ["no key of ours", "Bearer eyJhbGciOiJub25lIn0.e30."],
  ["another scheme", `Basic ${key}`],
  ["no scheme", key],
  ["a scheme alone", "Bearer"],
  ["a scheme and a space", "Bearer "],
  ["nothing", ""],
];

for (const proven of [false, true]) {
  for (const [what, header] of WRONG) {
    test(`${what} is refused, ${proven ? "after" : "before"} the right key came`, () => {
      const ring = new KeyRing([OTHER.record]);
      if (proven) expect(typeof ring.callerOf(`Bearer ${key}`)).toBe("object");
      expect(typeof callerOf(ring, header)).toBe("string");
      expect(typeof callerOf(ring, `Bearer ${key}`)).toBe("object");
    });
  }
}

test("no header is no key, and so is another scheme; what claims to be a key is a wrong one", () => {
  const ring = new KeyRing([]);
  expect(ring.callerOf(null)).toBe("no key");
  expect(ring.callerOf("Basic YTpi")).toBe("no key");
  expect(ring.callerOf(`Bearer ${key}`)).toBe("wrong key");
});

test("an empty list lets nobody in, and everyone is asked for nothing", () => {
  const ring = new KeyRing([]);
  expect([ring.everyone, ring.callerOf(`Bearer ${key}`)]).toEqual([undefined, "wrong key"]);
  ring.take("everyone");
  expect(ring.everyone).toEqual({ scope: "admin", within: undefined, ended: false });
  ring.take([]);
  expect(ring.everyone).toBeUndefined();
});

test("keys that were taken away are refused, also those that were remembered", () => {
  const ring = new KeyRing([OTHER.record, SHOP.record]);
  expect(typeof ring.callerOf(`Bearer ${key}`)).toBe("object");
  ring.take([SHOP.record]);
  expect(ring.callerOf(`Bearer ${key}`)).toBe("wrong key");
  ring.take([{ ...OTHER.record, scope: "admin" }]);
  expect(ring.callerOf(`Bearer ${key}`)).toEqual({ scope: "admin", within: undefined, ended: false });
  ring.take([{ ...OTHER.record, hash: SHOP.record.hash }]);
  expect(ring.callerOf(`Bearer ${key}`)).toBe("wrong key");
});

test("whoever was let in by what counts no more has ended; others go on, and are not hashed again", () => {
  const ring = new KeyRing("everyone");
  const { everyone } = ring;
  ring.take([OTHER.record, SHOP.record]);
  expect(everyone?.ended).toBe(true);
  const [other, shop] = [OTHER, SHOP].map((one) => ring.callerOf(`Bearer ${one.key}`));
  ring.take([structuredClone(OTHER.record), { ...SHOP.record, scope: "read" }]);
  expect([other, shop].map((caller) => (caller as Caller).ended)).toEqual([false, true]);
  expect(ring.callerOf(`Bearer ${key}`)).toBe(other!);
  ring.take([]);
  expect((other as Caller).ended).toBe(true);
});

test("a key is hashed once; a wrong one once at most, and not at all where the right one is remembered", () => {
  const ring = new KeyRing([OTHER.record]);
  const hashed = spyOn(crypto.Hash.prototype, "digest");
  try {
    const count = (header: string) => {
      hashed.mockClear();
      ring.callerOf(header);
      return hashed.mock.calls.length;
    };
    expect(count(`Bearer ${SHOP.key}`)).toBe(0);
    expect(count(`Bearer ${key.slice(0, -1)}${last}`)).toBe(1);
    expect(count(`Bearer ${key}`)).toBe(1);
    expect(count(`Bearer ${key}`)).toBe(0);
    expect(count(`Bearer ${key.slice(0, -1)}${last}`)).toBe(0);
  } finally {
    hashed.mockRestore();
  }
});

test("a record that is bound to what is no account's name is never unbound", () => {
  expect(() => new KeyRing([{ ...OTHER.record, account: "" }])).toThrow(TypeError);
});
