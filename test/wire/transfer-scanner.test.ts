/** The hot path's scanner, held against requests.ts: whatever it reads, reads the same there. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { buildFrame, CommandWriter, type EncodedCommands, type TransferBytes } from "../../src/wire/frame.ts";
import { readFrame } from "../../src/wire/frame-reader.ts";
import {
  MAX_BATCH_TRANSFERS,
  parseBatch,
  parseCommand,
  type RequestDefaults,
} from "../../src/wire/requests.ts";
import { InvalidInput } from "../../src/wire/strict-json.ts";
import { scanBatch, scanTransfer } from "../../src/wire/transfer-scanner.ts";
import { currency, id } from "../support/ledger-specs.ts";
import { accounts, amounts, currencies, uuids } from "./commands.ts";

const USD = currency("USD");
const MADE = id(7);
const DEFAULTS: RequestDefaults = { currency: USD, newId: () => MADE };
/** Amounts from here on are left to requests.ts. */
const PLAIN_AMOUNT_LIMIT = 10n ** 15n;

/** The transfers as the engine gets them. What the scanner writes must be a frame that is read. */
function transfersOf(encoded: EncodedCommands): readonly unknown[] {
  const frame = readFrame(buildFrame(new Uint8Array(16), 1, [encoded]), USD);
  if (!frame) throw new Error("the scanner wrote what no gateway may write");
  return frame.commands;
}

/** What the scanner reads; undefined where it leaves the text to requests.ts. */
function scanned(bytes: Uint8Array): unknown {
  const transfer = scanTransfer(bytes);
  if (!transfer) return undefined;
  const writer = new CommandWriter();
  if (transfer.idAt >= 0) writer.addBytes(transfer);
  else writer.addBytes(transfer, Buffer.from(MADE), 0);
  return transfersOf(writer.take())[0];
}

function scannedBatch(bytes: Uint8Array): readonly unknown[] | undefined {
  const writer = new CommandWriter();
  const count = scanBatch(bytes, (transfer: Readonly<TransferBytes>) => writer.addBytes(transfer));
  const encoded = writer.take();
  if (count === undefined) return undefined;
  expect(encoded.count).toBe(count);
  return transfersOf(encoded);
}

/** What requests.ts reads; undefined where it refuses. */
function parsed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof InvalidInput) return undefined;
    throw error;
  }
}

/** The text where a request's body stands: within a buffer in which it would go on. */
function placed(text: string, behind: string): Uint8Array {
  const bytes = Buffer.from(`{"${text}${behind}`);
  return new Uint8Array(bytes.buffer, bytes.byteOffset + 2, Buffer.byteLength(text));
}

/** Whether the scanner read it. Fails where it reads what requests.ts refuses, or reads it otherwise. */
function compare(text: string, behind = ""): boolean {
  const bytes = placed(text, behind);
  const transfer = scanned(bytes);
  if (transfer) expect<unknown>(transfer).toEqual(parsed(() => parseCommand("transfer", bytes, DEFAULTS)));
  const batch = scannedBatch(bytes);
  if (batch) expect<unknown>(batch).toEqual(parsed(() => parseBatch(bytes, DEFAULTS))?.transfers);
  return transfer !== undefined || batch !== undefined;
}

const space = fc.stringMatching(/^[ \t\r\n]{0,2}$/);

interface Form {
  /** Keys and values as they stand in the text. */
  readonly fields: readonly (readonly [key: string, value: string])[];
  /** Drawn where white space may stand. */
  readonly spaces: readonly string[];
}

function textOf({ fields, spaces }: Form): string {
  let next = 0;
  const gap = () => spaces[next++ % spaces.length] ?? "";
  const members = fields.map(([key, value]) => `${gap()}${key}${gap()}:${gap()}${value}${gap()}`);
  return `${gap()}{${members.join(",")}}${gap()}`;
}

const spaces = fc.oneof(fc.constant([""]), fc.array(space, { minLength: 1, maxLength: 7 }));

/** A good transfer in the form that nearly all requests have. */
const plainForms: fc.Arbitrary<Form> = fc
  .record({
    id: fc.option(fc.tuple(uuids, fc.boolean()).map(([uuid, upper]) => (upper ? uuid.toUpperCase() : uuid))),
    accounts: fc.uniqueArray(accounts, { minLength: 2, maxLength: 2 }),
    amount: fc.bigInt({ min: 1n, max: PLAIN_AMOUNT_LIMIT - 1n }),
    currency: fc.option(currencies),
    order: fc.array(fc.nat({ max: 99 }), { minLength: 5, maxLength: 5 }),
    spaces,
  })
  .map(({ id: uuid, accounts: [from, to], amount, currency: code, order, spaces: drawn }) => {
    const fields: [string, string][] = [
      ['"from_account"', `"${from}"`],
      ['"to_account"', `"${to}"`],
      ['"amount"', String(amount)],
    ];
    if (uuid !== null) fields.push(['"transaction_id"', `"${uuid}"`]);
    if (code !== null) fields.push(['"currency"', `"${code}"`]);
    const shuffled = fields
      .map((field, index) => [order[index] ?? 0, field] as const)
      .sort(([a], [b]) => a - b);
    return { fields: shuffled.map(([, field]) => field), spaces: drawn };
  });

/** Values that are nearly those of some field, or good ones in another form. */
const strangeValues = fc.oneof(
  fc.constantFrom(
    "0",
    "00",
    "01",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "null",
    "true",
    "[]",
    "{}",
    '""',
    '"@world"',
    '"__proto__"',
    '"a b"',
    '"\\u0061"',
    '"a\\/b"',
    '"é"',
    '"usd"',
    '"US"',
    '"5"',
    '"05"',
    "1 2",
    '"a""b"',
  ),
  amounts.map(String),
  amounts.map((amount) => `"${amount}"`),
  accounts.map((name) => `"${name}x"`),
  uuids.map((uuid) => `"${uuid.slice(1)}"`),
  uuids.map((uuid) => `"${uuid.replace("-", "0")}"`),
  fc.constantFrom(64, 65).map((length) => `"${"n".repeat(length)}"`),
);
const strangeKeys = fc.constantFrom(
  '"amount"',
  '"\\u0061mount"',
  '"amount "',
  '"Amount"',
  '"from_account"',
  '"to_account"',
  '"currency"',
  '"transaction_id"',
  '"memo"',
  '""',
  "amount",
  '"amount',
  'amount"',
  '"transfers"',
);

/** Forms of which one field is replaced, added, doubled or left out. */
const strangeForms = fc
  .tuple(
    plainForms,
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.constantFrom("key", "value", "mirror", "add", "double", "drop"),
        strangeKeys,
        strangeValues,
      ),
      { maxLength: 2 },
    ),
  )
  .map(([form, changes]) => {
    const fields = [...form.fields];
    for (const [draw, change, key, value] of changes) {
      const at = draw % (fields.length || 1);
      const [oldKey, oldValue] = fields[at] ?? [key, value];
      if (change === "key") fields[at] = [key, oldValue];
      else if (change === "value") fields[at] = [oldKey, value];
      else if (change === "mirror") fields[at] = [oldKey, fields[(at + 1) % fields.length]?.[1] ?? value];
      else if (change === "add") fields.splice(at, 0, [key, value]);
      else if (change === "double") fields.push([oldKey, oldValue]);
      else fields.splice(at, 1);
    }
    return { ...form, fields };
  });

const cuts = fc.array(
  fc.record({
    at: fc.nat(),
    length: fc.nat({ max: 2 }),
    piece: fc.constantFrom(
      "",
      "",
      " ",
      '"',
      ",",
      ":",
      "{",
      "}",
      "[",
      "]",
      "0",
      "1",
      "-",
      ".",
      "e",
      "a",
      "A",
      "@",
      "\\",
      "\0",
      "\n",
      "\v",
      "\f",
      "é",
      "\ufeff",
      "\u00a0",
    ),
  }),
  { minLength: 1, maxLength: 2 },
);

function cut(text: string, some: readonly { at: number; length: number; piece: string }[]): string {
  let result = text;
  for (const { at, length, piece } of some) {
    const from = at % (result.length + 1);
    result = result.slice(0, from) + piece + result.slice(from + length);
  }
  return result;
}

function batchOf(texts: readonly string[], gap = ""): string {
  return `${gap}{${gap}"transfers"${gap}:${gap}[${texts.join(`${gap},${gap}`)}]${gap}}${gap}`;
}

describe("a transfer", () => {
  test("in the plain form is read by the scanner, as requests.ts reads it", () => {
    fc.assert(
      fc.property(plainForms, (form) => expect(compare(textOf(form))).toBe(true)),
      { numRuns: 2_000 },
    );
  });

  test("in any other form is read the same, or left to requests.ts", () => {
    let read = 0;
    const runs = 10_000;
    fc.assert(
      fc.property(strangeForms, (form) => {
        if (compare(textOf(form))) read++;
      }),
      { numRuns: runs },
    );
    expect(read).toBeGreaterThan(runs / 20);
    expect(read).toBeLessThan(runs * 0.95);
  });

  test("that is damaged is read the same, or left to requests.ts", () => {
    fc.assert(
      fc.property(plainForms, cuts, (form, some) => void compare(cut(textOf(form), some))),
      { numRuns: 10_000 },
    );
  });

  test("is read to the end of its bytes and not beyond", () => {
    const behinds = fc.constantFrom("}", '"}', "0}", '"0}', ',"currency":"EUR"}', " }");
    fc.assert(
      fc.property(plainForms, fc.nat({ max: 60 }), behinds, (form, missing, behind) => {
        const text = textOf(form).trimEnd();
        compare(text.slice(0, Math.max(0, text.length - missing)), behind);
        if (missing > 0) expect(scanned(placed(text.slice(0, -1), "}"))).toBeUndefined();
      }),
      { numRuns: 3_000 },
    );
  });

  test("with an amount of 10^15 or more is exact, whoever reads it", () => {
    fc.assert(
      fc.property(amounts, (amount) => {
        const text = `{"from_account":"a","to_account":"b","amount":${amount}}`;
        expect(compare(text)).toBe(amount < PLAIN_AMOUNT_LIMIT);
        expect(parseCommand("transfer", Buffer.from(text), DEFAULTS).amount).toBe(amount);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a batch", () => {
  const withIds = plainForms.filter(({ fields }) => fields.some(([key]) => key === '"transaction_id"'));

  test("in the plain form is read by the scanner, as requests.ts reads it", () => {
    fc.assert(
      fc.property(fc.array(withIds, { minLength: 1, maxLength: 6 }), space, (forms, gap) => {
        expect(compare(batchOf(forms.map(textOf), gap))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("in any other form, or damaged, is read the same, or left to requests.ts", () => {
    const texts = fc
      .array(fc.oneof(withIds, strangeForms), { maxLength: 4 })
      .map((forms) => forms.map(textOf));
    fc.assert(
      fc.property(
        texts,
        space,
        fc.oneof(fc.constant([]), cuts),
        (some, gap, damage) => void compare(cut(batchOf(some, gap), damage)),
      ),
      { numRuns: 5_000 },
    );
  });

  test("that has more beside its transfers is left to requests.ts", () => {
    const one = `{"transaction_id":"${MADE}","from_account":"a","to_account":"b","amount":1}`;
    expect(compare(batchOf([one]))).toBe(true);
    for (const text of [
      batchOf([]),
      `{"transfers":[${one}],"atomic":false}`,
      `{"atomic":true,"transfers":[${one}]}`,
      `{"transfers":[${one}],"transfers":[${one}]}`,
      `{"transfers":[${one},]}`,
      `{"transfers":[,${one}]}`,
      `{"transfers":[${one}]`,
      `{"transfers":[${one}]}}`,
      `{"transfers":[${one}]} x`,
      `{"transfers" [${one}]}`,
      `{"transfer\\u0073":[${one}]}`,
      `[${one}]`,
    ]) {
      expect(scannedBatch(placed(text, ""))).toBeUndefined();
      compare(text);
    }
  });

  test("of 8,192 transfers is read, one more is left to requests.ts, which refuses it", () => {
    const one = (number: number) =>
      `{"transaction_id":"${id(number)}","from_account":"a","to_account":"b","amount":1}`;
    const all = Array.from({ length: MAX_BATCH_TRANSFERS + 1 }, (_, number) => one(number));
    const most = Buffer.from(batchOf(all.slice(1)));
    expect<unknown>(scannedBatch(most)).toEqual(parseBatch(most, DEFAULTS).transfers);
    const tooMany = Buffer.from(batchOf(all));
    expect(scannedBatch(tooMany)).toBeUndefined();
    expect(parsed(() => parseBatch(tooMany, DEFAULTS))).toBeUndefined();
  });
});

test("nothing of a request is left in the next one", () => {
  const full = `{"transaction_id":"${id(1)}","from_account":"a","to_account":"b","amount":1,"currency":"EUR"}`;
  const short = '{"from_account":"c","to_account":"d","amount":2}';
  expect(scanned(Buffer.from(full))).toMatchObject({ transaction_id: id(1), currency: "EUR" });
  expect(scanned(Buffer.from(short))).toEqual(parseCommand("transfer", Buffer.from(short), DEFAULTS));
  for (const text of [
    '{"from_account":"c","to_account":"d"}',
    '{"from_account":"c","amount":2}',
    '{"to_account":"d","amount":2}',
    "{}",
  ]) {
    scanned(Buffer.from(full));
    expect(scanned(Buffer.from(text))).toBeUndefined();
  }
});
