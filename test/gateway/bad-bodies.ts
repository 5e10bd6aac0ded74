/**
 * Everything that can be wrong in a body, as a table: what is sent, and what must be answered.
 *
 * Fields are given as the JSON text that stands in the request, so that 1.0, 1e3 and duplicate keys can.
 */

import type { RawRequest } from "../support/raw-http.ts";

export interface BadRequest {
  readonly what: string;
  readonly request: RawRequest;
  readonly status: number;
  readonly code: string;
  /** The JSON pointer of invalid_request. */
  readonly path?: string;
  readonly allow?: string;
}

/** The JSON text of each field; undefined leaves the field out. */
export type FieldTexts = Readonly<Record<string, string | undefined>>;

export const TRANSFER = "/v1/wallet/transfer";
export const TRANSFERS = "/v1/wallet/transfers";
export const ACCOUNTS = "/v1/wallet/accounts";
export const BALANCE = "/v1/wallet/balance";

export const JSON_TYPE = ["Content-Type", "application/json"] as const;

/** The good transfer of which every bad one differs in one point. */
export const GOOD: FieldTexts = {
  transaction_id: '"0190b5c0-0000-7000-8000-00000000bad0"',
  from_account: '"alice"',
  to_account: '"bob"',
  amount: "1",
};

export function objectText(fields: FieldTexts): string {
  const members = Object.entries(fields).filter(([, text]) => text !== undefined);
  return `{${members.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
}

export function post(target: string, body: string | Uint8Array): RawRequest {
  return { target, headers: [JSON_TYPE], body };
}

export function invalid(what: string, request: RawRequest, path: string): BadRequest {
  return { what, request, status: 400, code: "invalid_request", path };
}

export const ACCOUNT_64 = "a".repeat(64);

/** A field of a transfer, a text that it must not have, and what that is. */
const BAD_FIELDS: readonly (readonly [field: string, text: string | undefined, what?: string])[] = [
  ["amount", undefined, "no amount"],
  ...["1.0", "1.5", "1e3", "1E3", "10e-1", "-1", "-0", "0", "0.0", "0e0"].map(
    (text) => ["amount", text] as const,
  ),
  ["amount", "9223372036854775808", "2^63"],
  ["amount", "18446744073709551617", "2^64+1"],
  ["amount", "9223372036854775807.0", "2^63-1 with a fraction"],
  ["amount", "1".repeat(10_000), "10,000 digits"],
  ...[
    '""',
    '"0"',
    '"-1"',
    '"+1"',
    '"01"',
    '"1.0"',
    '"1e3"',
    '"5 "',
    '" 5"',
    '"0x10"',
    '"1_000"',
    '"1,000"',
    '"NaN"',
  ].map((text) => ["amount", text] as const),
  ["amount", '"9223372036854775808"', "2^63 as a string"],
  ["amount", '"\uff11"', "a full-width digit"],
  ["amount", '"1\\u0000"', "a digit and a NUL"],
  ...["null", "true", "[]", "[1]", "{}"].map((text) => ["amount", text] as const),
  ["from_account", undefined, "no payer"],
  ...[
    "null",
    "1",
    "true",
    '["alice"]',
    '{"id":"alice"}',
    '""',
    '" alice"',
    '"alice "',
    '"al ice"',
    '"-alice"',
  ].map((text) => ["from_account", text] as const),
  ...['"@world"', '"@"', '"@coffer"', '"__proto__"', '".."', '"a/b"', '"a\\nb"', '"a\\u0000"', '"älice"'].map(
    (text) => ["from_account", text] as const,
  ),
  ["from_account", `"${ACCOUNT_64}a"`, "65 characters"],
  ["from_account", '"\\ud800"', "half a surrogate pair"],
  ["from_account", '"alice\\u200b"', "a zero-width space"],
  ["from_account", '"\\u212aelvin"', "the sign that is a k in lower case"],
  ["to_account", undefined, "no receiver"],
  ...["null", "0", '""', '"@world"', '"__proto__"', '"alice"', '"\\u0061lice"', '"bob\\t"'].map(
    (text) => ["to_account", text] as const,
  ),
  ["to_account", `"${ACCOUNT_64}a"`, "65 characters"],
  ...["null", '""', "1", '"1"', '"not-a-uuid"', '"0190b5c0000070008000000000000bad"'].map(
    (text) => ["transaction_id", text] as const,
  ),
  ["transaction_id", '"{0190b5c0-0000-7000-8000-00000000bad0}"', "an id in braces"],
  ["transaction_id", '"urn:uuid:0190b5c0-0000-7000-8000-00000000bad0"', "an id with its urn"],
  ["transaction_id", '"0190b5c0-0000-7000-8000-00000000bad00"', "an id with 37 characters"],
  ["transaction_id", '"0190b5c0-0000-7000-8000-00000000bag0"', "an id with a g"],
  ["transaction_id", '"0190b5c00-000-7000-8000-00000000bad0"', "an id with a dash out of place"],
  ["transaction_id", '"0190b5c0-0000-7000-8000-00000000bad0\\n"', "an id and a line end"],
  ...[
    "null",
    '""',
    "840",
    '"usd"',
    '"US"',
    '"1SD"',
    '"U$D"',
    '"USD "',
    '"ABCDEFGHIJKLM"',
    '["USD"]',
    '"ÜSD"',
  ].map((text) => ["currency", text] as const),
  ["memo", '"rent"', "an unknown field"],
  ["Amount", "1", "a field in another case"],
  ["__proto__", "{}"],
  ["constructor", '{"prototype":{}}'],
  ["kind", '"deposit"'],
  ["a/b~c", "1", "an unknown field that a pointer must escape"],
  ["", "1", "an unknown field without a name"],
  ["atomic", "false", "a batch's field in a transfer"],
];

const badFields: BadRequest[] = BAD_FIELDS.flatMap(([field, text, what]) => {
  const bad = objectText({ ...GOOD, [field]: text });
  const name = what ?? `${field} ${text}`;
  const step = `/${field.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  return [
    invalid(`${name}`, post(TRANSFER, bad), step),
    invalid(
      `${name}, in a batch`,
      post(TRANSFERS, `{"transfers":[${objectText(GOOD)},${bad}]}`),
      `/transfers/1${step}`,
    ),
  ];
});

/** Texts that are no transfer for their form, and the place where that shows. */
const BAD_TEXTS: readonly (readonly [what: string, text: string | Uint8Array, path: string])[] = [
  ["an empty body", "", ""],
  ["a body of spaces", " \n\t", ""],
  ["a number", "1", ""],
  ["a string", '"transfer"', ""],
  ["null", "null", ""],
  ["an array", "[]", ""],
  ["an array of a transfer", `[${objectText(GOOD)}]`, ""],
  ["no JSON", "amount=1&to_account=bob", ""],
  ["half an object", '{"amount":', "/amount"],
  ["an object without its end", objectText(GOOD).slice(0, -1), ""],
  ["two objects", `${objectText(GOOD)}${objectText(GOOD)}`, ""],
  ["something behind the object", `${objectText(GOOD)} x`, ""],
  ["a NUL behind the object", `${objectText(GOOD)}\0`, ""],
  ["a comma too many", objectText(GOOD).replace("}", ",}"), ""],
  ["single quotes", objectText(GOOD).replaceAll('"', "'"), ""],
  ["a key without quotes", objectText(GOOD).replace('"amount"', "amount"), ""],
  ["a comment", `/* pay */ ${objectText(GOOD)}`, ""],
  ["a leading zero", objectText({ ...GOOD, amount: "01" }), ""],
  ["a leading plus", objectText({ ...GOOD, amount: "+1" }), "/amount"],
  ["a number without its integer part", objectText({ ...GOOD, amount: ".5" }), "/amount"],
  ["a number without its fraction", objectText({ ...GOOD, amount: "1." }), ""],
  ["a hexadecimal number", objectText({ ...GOOD, amount: "0x10" }), ""],
  ["a BigInt literal", objectText({ ...GOOD, amount: "1n" }), ""],
  ["NaN", objectText({ ...GOOD, amount: "NaN" }), "/amount"],
  ["Infinity", objectText({ ...GOOD, amount: "Infinity" }), "/amount"],
  ["-Infinity", objectText({ ...GOOD, amount: "-Infinity" }), "/amount"],
  ["a raw line end in a string", objectText({ ...GOOD, to_account: '"bo\nb"' }), "/to_account"],
  ["a raw tab in a string", objectText({ ...GOOD, to_account: '"bo\tb"' }), "/to_account"],
  ["an unknown escape", objectText({ ...GOOD, to_account: '"\\x62ob"' }), "/to_account"],
  ["half an escape", objectText({ ...GOOD, to_account: '"\\u00"' }), "/to_account"],
  ["a string without its end", `{"to_account":"${"b".repeat(100_000)}`, "/to_account"],
  ["no colon", objectText(GOOD).replace('"amount":', '"amount" '), "/amount"],
  ["a key twice", objectText(GOOD).replace("}", ',"amount":1}'), "/amount"],
  ["a key twice, once escaped", objectText(GOOD).replace("}", ',"\\u0061mount":2}'), "/amount"],
  [
    "an id twice",
    objectText(GOOD).replace("}", `,"transaction_id":${GOOD.transaction_id}}`),
    "/transaction_id",
  ],
  ["a payer twice", objectText(GOOD).replace("}", ',"from_account":"carol"}'), "/from_account"],
  ["a receiver twice", objectText(GOOD).replace("}", ',"to_account":"carol"}'), "/to_account"],
  [
    "a currency twice",
    objectText({ ...GOOD, currency: '"USD"' }).replace("}", ',"currency":"EUR"}'),
    "/currency",
  ],
  ["an unknown key twice", objectText({ ...GOOD, memo: '{"a":1,"a":2}' }), "/memo/a"],
  [
    "17 levels",
    objectText({ ...GOOD, memo: `${"[".repeat(16)}${"]".repeat(16)}` }),
    `/memo${"/0".repeat(15)}`,
  ],
  ["100,000 levels of arrays", "[".repeat(100_000), "/0".repeat(16)],
  ["100,000 levels of objects", '{"a":'.repeat(100_000), "/a".repeat(16)],
  ["100,000 values", objectText({ ...GOOD, memo: `[${"0,".repeat(99_999)}0]` }), "/memo/65530"],
  ["a key of 100,000 characters", `{"${"k".repeat(100_000)}":1}`, ""],
  ["a byte order mark", `\ufeff${objectText(GOOD)}`, ""],
  ["UTF-16", Buffer.from(objectText(GOOD), "utf16le"), ""],
  ["a byte that is not UTF-8", withBytes([0xff]), ""],
  ["an overlong form", withBytes([0xc1, 0xa1]), ""],
  ["an encoded surrogate", withBytes([0xed, 0xa0, 0x80]), ""],
  ["a character above U+10FFFF", withBytes([0xf4, 0x90, 0x80, 0x80]), ""],
  ["half a character at the end", Buffer.concat([Buffer.from(objectText(GOOD)), Buffer.from([0xc3])]), ""],
  ["a key with half a surrogate pair", '{"\\ud800":1}', "/\ud800"],
];

/** The good transfer, with these bytes in the receiver's name. */
function withBytes(bytes: readonly number[]): Uint8Array {
  const [before, behind] = objectText({ ...GOOD, to_account: '"b#b"' }).split("#") as [string, string];
  return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(behind)]);
}

/** The good transfer as text. */
export const good = objectText(GOOD);

const BAD_BATCHES: readonly (readonly [what: string, text: string, path: string])[] = [
  ["a batch without transfers", "{}", "/transfers"],
  ["a batch of null", '{"transfers":null}', "/transfers"],
  ["a batch of an object", `{"transfers":${good}}`, "/transfers"],
  ["an empty batch", '{"transfers":[]}', "/transfers"],
  ["a batch that is an array", `[${good}]`, ""],
  ["8,193 transfers", `{"transfers":[${Array(8_193).fill(good).join(",")}]}`, "/transfers"],
  [
    "8,192 transfers, of which the last is bad",
    `{"transfers":[${`${good},`.repeat(8_191)}${objectText({ ...GOOD, amount: "0" })}]}`,
    "/transfers/8191/amount",
  ],
  ["a number in a batch", '{"transfers":[1]}', "/transfers/0"],
  ["null behind a transfer", `{"transfers":[${good},null]}`, "/transfers/1"],
  ["a batch in a batch", `{"transfers":[[${good}]]}`, "/transfers/0"],
  ["a comma too many in a batch", `{"transfers":[${good},]}`, "/transfers/1"],
  [
    "a key twice in a batch's transfer",
    `{"transfers":[${good.replace("}", ',"amount":1}')}]}`,
    "/transfers/0/amount",
  ],
  ["transfers twice", `{"transfers":[${good}],"transfers":[${good}]}`, "/transfers"],
  ["transfers twice, once escaped", `{"transfers":[${good}],"transfer\\u0073":[${good}]}`, "/transfers"],
  ["an unknown field beside the batch", `{"transfers":[${good}],"dry_run":true}`, "/dry_run"],
  ["something behind the batch", `{"transfers":[${good}]}]`, ""],
  ...["true", "null", "0", '"false"', "[]"].map(
    (text) => [`atomic ${text}`, `{"transfers":[${good}],"atomic":${text}}`, "/atomic"] as const,
  ),
  ["atomic twice", `{"atomic":false,"transfers":[${good}],"atomic":false}`, "/atomic"],
];

const BAD_OPENINGS: readonly (readonly [what: string, text: string, path: string])[] = [
  ["an opening without a name", "{}", "/account_id"],
  ["an opening of @world", '{"account_id":"@world"}', "/account_id"],
  ["an opening of __proto__", '{"account_id":"__proto__"}', "/account_id"],
  ["an opening with 65 characters", `{"account_id":"${ACCOUNT_64}a"}`, "/account_id"],
  ...["-1", "-0", "1.0", "1e2", "null", "true", '""', '"01"', '"5 "', "9223372036854775808"].map(
    (text) =>
      [
        `an opening with ${text}`,
        `{"account_id":"carol","initial_balance":${text}}`,
        "/initial_balance",
      ] as const,
  ),
  ["an opening in usd", '{"account_id":"carol","currency":"usd"}', "/currency"],
  ["an opening with a bad id", '{"account_id":"carol","transaction_id":"x"}', "/transaction_id"],
  ["an opening with a balance", '{"account_id":"carol","balance":1}', "/balance"],
  ["an opening with a name twice", '{"account_id":"carol","account_id":"carol"}', "/account_id"],
];

const BAD_MOVES: readonly (readonly [what: string, text: string, path: string])[] = [
  ["no account", '{"amount":1}', "/account_id"],
  ["the account @world", '{"account_id":"@world","amount":1}', "/account_id"],
  ["no amount", '{"account_id":"alice"}', "/amount"],
  ["amount 0", '{"account_id":"alice","amount":0}', "/amount"],
  ["amount 1.0", '{"account_id":"alice","amount":1.0}', "/amount"],
  ["2^63", '{"account_id":"alice","amount":9223372036854775808}', "/amount"],
  ["a payer", '{"account_id":"alice","amount":1,"from_account":"bob"}', "/from_account"],
  ["a bad id", '{"account_id":"alice","amount":1,"transaction_id":"x"}', "/transaction_id"],
  ["a bad currency", '{"account_id":"alice","amount":1,"currency":"us"}', "/currency"],
];

function table(
  target: string,
  rows: readonly (readonly [what: string, text: string | Uint8Array, path: string])[],
  prefix = "",
): BadRequest[] {
  return rows.map(([what, text, path]) => invalid(prefix + what, post(target, text), path));
}

export const BAD_BODIES: readonly BadRequest[] = [
  ...badFields,
  ...table(TRANSFER, BAD_TEXTS),
  ...table(TRANSFERS, BAD_BATCHES),
  ...table(ACCOUNTS, BAD_OPENINGS),
  ...table("/v1/wallet/deposit", BAD_MOVES, "a deposit: "),
  ...table("/v1/wallet/withdraw", BAD_MOVES, "a withdrawal: "),
];
