/** What callers may say beyond what test/gateway/ sends over HTTP: NATS clients' arrays, and ids that must be brought. */

import { expect, test } from "bun:test";
import { parseTransactionId } from "../../src/domain/names.ts";
import { readMessage } from "../../src/wire/messages.ts";
import { parseBatch, parseCommand, parseTransferOrArray } from "../../src/wire/requests.ts";
import { InvalidInput } from "../../src/wire/strict-json.ts";
import { currency, id, repeat } from "../support/ledger-specs.ts";

const USD = currency("USD");
const WITHOUT_IDS = { currency: USD, newId: undefined };

function bytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function placeOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof InvalidInput) return error.path;
    throw error;
  }
  throw new Error("it was not refused");
}

const good = { transaction_id: id(1), from_account: "alice", to_account: "bob", amount: 20 };
const { transaction_id: _, ...withoutId } = good;

test("an array is a batch, one object a transfer", () => {
  const transfer = { kind: "transfer", ...good, currency: "USD" };
  expect<unknown>(parseTransferOrArray(bytes(good), WITHOUT_IDS)).toEqual(transfer);
  expect<unknown>(parseTransferOrArray(bytes([good, good]), WITHOUT_IDS)).toEqual({
    transfers: [transfer, transfer],
    madeIds: false,
  });
});

test("an array with one bad element is refused whole, with its place", () => {
  expect(placeOf(() => parseTransferOrArray(bytes([good, { ...good, amount: "x" }]), WITHOUT_IDS))).toBe(
    "/1/amount",
  );
  expect(placeOf(() => parseTransferOrArray(bytes([good, [good]]), WITHOUT_IDS))).toBe("/1");
  expect(
    placeOf(() => parseTransferOrArray(bytes([good, { ...good, to_account: "@world" }]), WITHOUT_IDS)),
  ).toBe("/1/to_account");
  for (const wrong of [[], repeat(8_193, () => good)]) {
    expect(placeOf(() => parseTransferOrArray(bytes(wrong), WITHOUT_IDS))).toBe("");
  }
  expect(parseTransferOrArray(bytes(repeat(8_192, () => good)), WITHOUT_IDS)).toMatchObject({
    madeIds: false,
  });
});

test("where no id can be made, one must be brought", () => {
  expect(placeOf(() => parseTransferOrArray(bytes(withoutId), WITHOUT_IDS))).toBe("/transaction_id");
  expect(placeOf(() => parseTransferOrArray(bytes([good, withoutId]), WITHOUT_IDS))).toBe(
    "/1/transaction_id",
  );
});

test("where ids can be made, each is another, and a batch says that there are some", () => {
  let made = 0;
  const defaults = { currency: USD, newId: () => id(1_000 + ++made) };
  expect(parseCommand("transfer", bytes(withoutId), defaults).transaction_id).toBe(id(1_001));
  expect(parseCommand("open_account", bytes({ account_id: "alice" }), defaults)).toMatchObject({
    transaction_id: id(1_002),
    initial_balance: 0,
  });
  const batch = parseBatch(bytes({ transfers: [withoutId, good, withoutId] }), defaults);
  expect(batch.madeIds).toBe(true);
  expect(batch.transfers.map((one) => one.transaction_id)).toEqual([
    id(1_003),
    good.transaction_id,
    id(1_004),
  ]);
  expect(parseBatch(bytes({ transfers: [good] }), defaults).madeIds).toBe(false);
});

test("the largest batch has room for every field, in any form", () => {
  const full = { ...good, amount: "20", currency: "EUR" };
  const text = JSON.stringify({ transfers: repeat(8_192, () => full), atomic: false }).replaceAll(
    "amount",
    "\\u0061mount",
  );
  expect(parseBatch(Buffer.from(text), WITHOUT_IDS).transfers).toHaveLength(8_192);
});

test("a message of the queue is a gateway's frame, an outside client's transfers, or nobody's", () => {
  const from = (message: string | Uint8Array) => readMessage(Buffer.from(message), USD).from;
  expect(from(bytes(good))).toBe("outside");
  expect(from(bytes([good, good]))).toBe("outside");
  expect(readMessage(bytes(good), undefined).from).toBe("nobody");
  for (const message of [
    "",
    "hello",
    "\xcf\x46",
    Uint8Array.of(0xcf, 0x46),
    Uint8Array.of(0xcf, 0x46, 1, 0, ...repeat(60, () => 0)),
    bytes(withoutId),
    bytes([good, withoutId]),
    bytes({ ...good, from_account: "@world" }),
    bytes({ ...good, kind: "deposit" }),
    bytes({ account_id: "alice", amount: 1, transaction_id: id(2) }),
    bytes({ account_id: "alice", transaction_id: id(2), initial_balance: 5 }),
    bytes({ transfers: [good] }),
  ]) {
    expect(from(message)).toBe("nobody");
  }
});

function refusalOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof InvalidInput) return `${error.path} ${error.message}`;
    throw error;
  }
  throw new Error("it was not refused");
}

const MAKING_IDS = { currency: USD, newId: () => parseTransactionId(id(1)) ?? fail() };

function fail(): never {
  throw new Error("it is a UUID");
}

/** Each request, with the fields that must be there, and all that there are. */
const REQUESTS: readonly (readonly [
  what: string,
  read: (body: Uint8Array) => unknown,
  good: Readonly<Record<string, unknown>>,
  fields: string,
])[] = [
  [
    "a transfer",
    (body) => parseCommand("transfer", body, MAKING_IDS),
    { from_account: "alice", to_account: "bob", amount: 1 },
    "transaction_id, from_account, to_account, amount, currency",
  ],
  [
    "a deposit",
    (body) => parseCommand("deposit", body, MAKING_IDS),
    { account_id: "alice", amount: 1 },
    "transaction_id, account_id, amount, currency",
  ],
  [
    "a withdrawal",
    (body) => parseCommand("withdraw", body, MAKING_IDS),
    { account_id: "alice", amount: 1 },
    "transaction_id, account_id, amount, currency",
  ],
  [
    "an opening",
    (body) => parseCommand("open_account", body, MAKING_IDS),
    { account_id: "alice" },
    "transaction_id, account_id, currency, initial_balance",
  ],
  ["a batch", (body) => parseBatch(body, MAKING_IDS), { transfers: [withoutId] }, "transfers, atomic"],
];

for (const [what, read, complete, fields] of REQUESTS) {
  test(`${what}: a field that is absent is missing, one that is null is not what it must be`, () => {
    read(bytes(complete));
    for (const field of Object.keys(complete)) {
      expect(refusalOf(() => read(bytes({ ...complete, [field]: undefined })))).toBe(`/${field} is missing`);
      expect(refusalOf(() => read(bytes({ ...complete, [field]: null })))).toStartWith(`/${field} must be `);
    }
  });

  test(`${what}: a field that there is not is answered with those that there are`, () => {
    expect(refusalOf(() => read(bytes({ ...complete, memo: "rent" })))).toBe(
      `/memo is not a known field: the fields are ${fields}`,
    );
  });
}

test("where no id can be made, an id that is absent is missing", () => {
  expect(refusalOf(() => parseCommand("transfer", bytes(withoutId), WITHOUT_IDS))).toBe(
    "/transaction_id is missing",
  );
});
