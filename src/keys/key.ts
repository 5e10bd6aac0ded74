/**
 * What a key looks like, and how it is kept: `coffer_<id>_<secret>`, of which a file has the id, a salt and a
 * hash.
 *
 * A secret has 256 random bits, so nobody finds it by trying, however fast: one SHA-256 is enough, and the slow
 * hashes that are made for passwords would only let a flood of wrong keys cost more.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { KeyRecord } from "../ports/keys.ts";

const ID_BYTES = 6;
const SECRET_BYTES = 32;
const SALT_BYTES = 16;
/** The secret is base64url, without padding. */
const KEY = /^coffer_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;
const ID_AT = "coffer_".length;
const ID_END = ID_AT + 2 * ID_BYTES;
const SECRET_AT = ID_END + 1;

/** A new key, and what is kept of it. */
export function makeKey(about: Pick<KeyRecord, "name" | "scope" | "account" | "created">): {
  readonly key: string;
  readonly record: KeyRecord;
} {
  const id = randomBytes(ID_BYTES).toString("hex");
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  const salt = randomBytes(SALT_BYTES);
  const hash = hashOf(salt, secret).toString("hex");
  return { key: `coffer_${id}_${secret}`, record: { ...about, id, salt: salt.toString("hex"), hash } };
}

export function isKey(text: string): boolean {
  return KEY.test(text);
}

/** Of something that is a key. */
export function idOf(key: string): string {
  return key.slice(ID_AT, ID_END);
}

/** Whether `key`, which has the record's id, is the one that the record was made of. */
export function isOf({ salt, hash }: KeyRecord, key: string): boolean {
  const given = hashOf(Buffer.from(salt, "hex"), key.slice(SECRET_AT));
  return timingSafeEqual(given, Buffer.from(hash, "hex"));
}

function hashOf(salt: Uint8Array, secret: string): Buffer {
  return createHash("sha256").update(salt).update(secret, "latin1").digest();
}
