/** Requests that look odd and are good: each is accepted, and reads as what it says. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { addKey, CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { newId } from "../support/ledger-specs.ts";
import {
  type RawAnswer,
  RawConnection,
  type RawRequest,
  rawRequest,
  requestBytes,
} from "../support/raw-http.ts";
import { linesOf, names } from "./answer-specs.ts";
import {
  ACCOUNT_64,
  type FieldTexts,
  JSON_TYPE,
  objectText,
  post,
  TRANSFER,
  TRANSFERS,
} from "./bad-bodies.ts";

const MAX_BODY_BYTES = 4 << 20;
const RICH = 9_223_372_036_854_775_807n;

let node: CofferNode;

beforeAll(async () => {
  node = await CofferNode.start(temporaryFolder());
});

afterAll(async () => {
  await node?.crash();
});

function committed(answer: RawAnswer | undefined): { transaction_id: string; from_balance: number } {
  expect(answer?.status).toBe(200);
  const body = JSON.parse(answer?.text ?? "");
  expect(body.status).toBe("committed");
  return body;
}

/** What two committed lines of `id` say. */
function moved(id: string): string[] {
  return linesOf(join(node.data, "events.log"), id).map(({ account, amount }) => `${account} ${amount}`);
}

/** A currency of its own, in which `payer` has everything that there can be. */
let currencies = 0;
async function rich(payer: string): Promise<string> {
  const currency = `C${String(++currencies).padStart(3, "0")}`;
  expect((await node.client.open(payer, String(RICH), { currency })).status).toBe(201);
  return currency;
}

const AMOUNTS: readonly (readonly [text: string, value: bigint])[] = [
  ["1", 1n],
  ['"1"', 1n],
  ["999999999999999", 999_999_999_999_999n],
  ["1000000000000000", 1_000_000_000_000_000n],
  ["9007199254740991", 2n ** 53n - 1n],
  ["9007199254740992", 2n ** 53n],
  ["9007199254740993", 2n ** 53n + 1n],
  ['"9007199254740993"', 2n ** 53n + 1n],
  ["4611686018427387905", 2n ** 62n + 1n],
  ["9223372036854775806", 2n ** 63n - 2n],
  ["9223372036854775807", 2n ** 63n - 1n],
  ['"9223372036854775807"', 2n ** 63n - 1n],
];

for (const [text, value] of AMOUNTS) {
  test(`the amount ${text} is exact in the answer and in the log`, async () => {
    const [payer, receiver] = names("payer", "receiver");
    const currency = await rich(payer);
    const id = newId();
    const fields = {
      transaction_id: `"${id}"`,
      from_account: `"${payer}"`,
      to_account: `"${receiver}"`,
      amount: text,
      currency: `"${currency}"`,
    };
    const answer = await rawRequest(node.url, post(TRANSFER, objectText(fields)));
    committed(answer);
    expect(answer?.text).toContain(`"from_balance":${RICH - value},"to_balance":${value}}`);
    expect(moved(id)).toEqual([`${payer} ${value}`, `${receiver} ${value}`]);

    const batched = objectText({
      ...fields,
      transaction_id: `"${newId()}"`,
      from_account: `"${receiver}"`,
      to_account: `"${payer}"`,
    });
    expect((await node.client.post(TRANSFERS, `{"transfers":[${batched}]}`)).body).toMatchObject({
      committed: 1,
      failed: 0,
    });
    expect((await node.client.get(`/v1/wallet/balance/${payer}?currency=${currency}`)).text).toContain(
      `"balance":${RICH},`,
    );
  });
}

/** Changes to the fields of a good transfer after which it says the same, or is as good. */
const FIELDS: readonly (readonly [what: string, change: (fields: FieldTexts) => string])[] = [
  ["fields in another order", (fields) => objectText(Object.fromEntries(Object.entries(fields).reverse()))],
  [
    "white space everywhere",
    (fields) => `\r\n\t ${objectText(fields).replace(/[{}:,]/g, " \t\r\n$&\n ")} \n\n`,
  ],
  ["escapes in keys", (fields) => objectText(fields).replace('"amount"', '"\\u0061moun\\u0074"')],
  ["escapes in names", (fields) => objectText(fields).replace('"payer', '"\\u0070\\u0061yer')],
  [
    "an id in upper case",
    (fields) => objectText({ ...fields, transaction_id: String(fields.transaction_id).toUpperCase() }),
  ],
  ["the default currency, said", (fields) => objectText({ ...fields, currency: '"USD"' })],
];

for (const [what, change] of FIELDS) {
  test(`${what}: a transfer as any other`, async () => {
    const [payer, receiver] = names("payer", "receiver");
    await node.client.open(payer, 100);
    const id = newId();
    const fields = {
      transaction_id: `"${id}"`,
      from_account: `"${payer}"`,
      to_account: `"${receiver}"`,
      amount: "30",
    };
    expect(committed(await rawRequest(node.url, post(TRANSFER, change(fields)))).transaction_id).toBe(id);
    expect(moved(id)).toEqual([`${payer} 30`, `${receiver} 30`]);
    const again = await rawRequest(node.url, post(TRANSFERS, `{"transfers":[${change(fields)}]}`));
    expect(JSON.parse(again?.text ?? "")).toMatchObject({ committed: 0, replayed: 1, failed: 0 });
  });
}

const IDS = [
  "00000000-0000-0000-0000-000000000000",
  "ffffffff-ffff-ffff-ffff-ffffffffffff",
  "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
  "f47ac10b-58cc-4372-a567-0e02b2c3d479",
];

test("an id may be any UUID", async () => {
  for (const id of IDS) {
    const [account] = names("account");
    expect((await node.client.deposit(account, 1, { transaction_id: id })).body.transaction_id).toBe(id);
    expect(moved(id)).toEqual(["@world 1", `${account} 1`]);
  }
});

test("accounts may have the longest names, names of objects' parts, and case", async () => {
  const accounts = [
    ACCOUNT_64,
    "constructor",
    "toString",
    "hasOwnProperty",
    "valueOf",
    "0",
    "a",
    "A",
    "a._:@+-",
    "bob@world",
  ];
  for (const [index, account] of accounts.entries()) {
    expect((await node.client.deposit(account, index + 1)).body.to_balance).toBe(index + 1);
  }
  for (const [index, account] of accounts.entries())
    expect(await node.client.balance(account)).toBe(index + 1);
});

test("currencies have 3 to 12 characters", async () => {
  const [account] = names("account");
  for (const currency of ["XAU", "A12", "ABCDEFGHIJKL", "A00000000000"]) {
    expect((await node.client.deposit(account, 3, { currency })).status).toBe(200);
    expect((await node.client.get(`/v1/wallet/balance/${account}?currency=${currency}`)).body.balance).toBe(
      3,
    );
  }
});

/** Ways to send a body which are all the same to the ledger. */
type Header = readonly [name: string, value: string];

function sent(body: string, ...headers: readonly Header[]): RawRequest {
  return { target: TRANSFER, headers, body };
}

const WAYS: readonly (readonly [what: string, request: (body: string) => RawRequest])[] = [
  [
    "a content type with a charset",
    (body) => sent(body, ["Content-Type", "application/json; charset=utf-8"]),
  ],
  [
    "a content type without the space",
    (body) => sent(body, ["Content-Type", "application/json;charset=UTF-8"]),
  ],
  ["a content type with capitals", (body) => sent(body, ["Content-Type", "Application/JSON"])],
  ["a content type with a space before", (body) => sent(body, ["Content-Type", "application/json ; x=1"])],
  ["a host in capitals", (body) => sent(body, JSON_TYPE, ["Host", "LOCALHOST"])],
  ["a host with a port", (body) => sent(body, JSON_TYPE, ["Host", "localhost:80"])],
  ["a host that is another loopback address", (body) => sent(body, JSON_TYPE, ["Host", "127.1.2.3:8080"])],
  ["a host that is an IPv6 address", (body) => sent(body, JSON_TYPE, ["Host", "[::1]"])],
  ["a host that is an IPv6 address with a port", (body) => sent(body, JSON_TYPE, ["Host", "[::1]:8080"])],
  [
    "the target as a whole URL",
    (body) => ({ ...sent(body, JSON_TYPE), target: `http://localhost${TRANSFER}` }),
  ],
  [
    "a query that nobody asked for",
    (body) => ({ ...sent(body, JSON_TYPE), target: `${TRANSFER}?dry_run=1` }),
  ],
  ["Expect: 100-continue", (body) => sent(body, JSON_TYPE, ["Expect", "100-continue"])],
  [
    "chunks of one byte",
    (body) => sent(inChunks(body), JSON_TYPE, ["Transfer-Encoding", "chunked"], ["Content-Length", ""]),
  ],
  ["a body of 4 MiB", (body) => sent(body.padStart(MAX_BODY_BYTES), JSON_TYPE)],
];

function inChunks(body: string): string {
  return `${[...body].map((character) => `1\r\n${character}\r\n`).join("")}0\r\n\r\n`;
}

for (const [what, request] of WAYS) {
  test(`${what}: a transfer as any other`, async () => {
    const [payer, receiver] = names("payer", "receiver");
    await node.client.open(payer, 100);
    const id = newId();
    const body = `{"transaction_id":"${id}","from_account":"${payer}","to_account":"${receiver}","amount":30}`;
    const answer = committed(await rawRequest(node.url, request(body)));
    expect([answer.transaction_id, answer.from_balance]).toEqual([id, 70]);
    expect(moved(id)).toEqual([`${payer} 30`, `${receiver} 30`]);
  });
}

test("without keys another name is 403, for a web page may have pointed it here; with a key any name is good", async () => {
  const data = temporaryFolder();
  const key = await addKey(data, "all", "write");
  const keyed = await CofferNode.start(data);
  const bearer = ["Authorization", `Bearer ${key}`] as const;
  const body = '{"from_account":"nobody","to_account":"b","amount":1}';
  const lines = () => readFileSync(join(node.data, "events.log"), "latin1");
  const before = lines();
  for (const host of [
    ...[
      "a",
      "api",
      "db:80",
      "wallet.example.com",
      "10.0.0.1",
      "localhost.example.com",
      "127.0.0.1.example.com",
    ],
    ...["localhost.", "0.0.0.0", "[::]", "[::2]:80", "example.com:127"],
  ]) {
    const request = sent(body, JSON_TYPE, ["Host", host]);
    const refused = await rawRequest(node.url, request);
    expect([host, refused?.status, JSON.parse(refused?.text ?? "").code]).toEqual([host, 403, "forbidden"]);
    const health = { method: "GET", target: "/health/live", headers: [["Host", host]] } as const;
    expect([host, (await rawRequest(node.url, health))?.status]).toEqual([host, 200]);
    const headers = [...(request.headers ?? []), bearer];
    expect([host, (await rawRequest(keyed.url, { ...request, headers }))?.status]).toEqual([host, 422]);
  }
  expect(lines()).toBe(before);
  expect(await keyed.stop()).toBe(0);
});

test("requests on one connection, one of them byte by byte, are answered one after the other", async () => {
  const [payer, receiver] = names("payer", "receiver");
  await node.client.open(payer, 100);
  const connection = await RawConnection.open(node.url);
  for (let left = 99; left >= 90; left--) {
    const id = newId();
    const body = `{"transaction_id":"${id}","from_account":"${payer}","to_account":"${receiver}","amount":1}`;
    const bytes = requestBytes(post(TRANSFER, body));
    if (left === 95) for (const byte of bytes) await connection.send(Uint8Array.of(byte));
    else await connection.send(bytes);
    const answer = committed(await connection.answer());
    expect([answer.transaction_id, answer.from_balance]).toEqual([id, left]);
  }
  connection.cut();
});
