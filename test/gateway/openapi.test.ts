/** /openapi.json beside what the gateway does: its schemas take what its validators take, and no code is missing. */

import { describe, expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { parseAccount, parseCurrency, parseTransactionId, WORLD } from "../../src/domain/names.ts";
import { parseBatch, parseCommand, type RequestDefaults } from "../../src/wire/requests.ts";
import { InvalidInput } from "../../src/wire/strict-json.ts";
import { CofferNode, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { type Json, OpenApi, openApiText, ROUTES } from "../../tools/harness/openapi.ts";
import { currency, id } from "../support/ledger-specs.ts";
import "../../tools/harness/seed.ts";
import { accounts, amounts, currencies, uuids } from "../wire/commands.ts";

const openApi = await OpenApi.published();
const { document } = openApi;

function resolved(schema: Json): Json {
  return schema?.$ref ? document.components.schemas[schema.$ref.split("/").at(-1)] : schema;
}

describe("the document", () => {
  test("has every route of the table, under its own method", () => {
    const told = Object.entries<Json>(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(told).toEqual(ROUTES.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`));
  });

  test("has no schema that JSON schema does not know", () => {
    const ajv = new Ajv2020({ strict: false });
    const check = (node: Json, name = "") => {
      if (typeof node !== "object" || node === null) return;
      if (name === "schema")
        expect([ajv.validateSchema(node), ajv.errorsText()]).toEqual([true, "No errors"]);
      for (const [key, value] of Object.entries<Json>(node))
        check(value, name === "schemas" ? "schema" : key);
    };
    check(document);
  });

  test("says of every field and parameter what it means, and shows a value that fits", () => {
    const missing: string[] = [];
    const look = (place: string, field: Json) => {
      const { description, examples = [], example = examples[0] } = { ...resolved(field), ...field };
      if (!description?.endsWith(".")) missing.push(`${place} has no description`);
      const { examples: _, ...schema } = field.schema ?? field;
      const wrong = example === undefined ? "no example" : openApi.problemsOf(schema, example);
      if (wrong) missing.push(`${place}: ${wrong}`);
    };
    const visit = (place: string, node: Json) => {
      if (typeof node !== "object" || node === null) return;
      for (const parameter of node.parameters ?? []) look(`${place}/${parameter.name}`, parameter);
      if (node.type === "object")
        for (const [name, field] of Object.entries(node.properties ?? {})) look(`${place}/${name}`, field);
      for (const [name, child] of Object.entries(node))
        if (name !== "examples") visit(`${place}/${name}`, child);
    };
    visit("", document);
    expect(missing).toEqual([]);
  });

  test("joins no schemas, for generators lose what is joined, and types what it fixes", () => {
    const wrong: string[] = [];
    const visit = (place: string, node: Json) => {
      if (typeof node !== "object" || node === null) return;
      if (node.allOf || node.oneOf) wrong.push(place);
      if ("const" in node && node.type === undefined && place.includes("/schemas/")) wrong.push(place);
      for (const [name, child] of Object.entries(node)) visit(`${place}/${name}`, child);
    };
    visit("", document);
    expect(wrong).toEqual([]);
  });
});

test.each(RUNTIME_NAMES)("%s publishes it", async (runtime) => {
  const node = await CofferNode.start(temporaryFolder(), { runtime });
  const { status, text, headers } = await node.client.get("/openapi.json");
  expect([status, headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(text).toBe(await openApiText({ scope: "admin", within: undefined, ended: false }));
  expect(text).toContain('"maximum":9223372036854775807');
  await node.crash();
});

describe("an answer that is not in the document is noticed", () => {
  const path = "/v1/wallet/transfer";
  const good = { transaction_id: id(1), status: "committed", seq: 4, from_balance: 80, to_balance: 20 };
  const problem = (code: string, status: number, more: object = {}) => ({
    status,
    type: "application/problem+json",
    body: { type: `urn:coffer:problem:${code}`, title: "t", status, detail: "d", code, ...more },
  });
  interface Told {
    readonly status?: number;
    readonly type?: string;
    readonly body?: Json;
    readonly headers?: Record<string, string>;
  }
  const wrong = ({ status = 200, type = "application/json", body = good, headers = {} }: Told) =>
    openApi.wrongIn("POST", path, {
      status,
      headers: new Headers({ "content-type": type, ...headers }),
      text: JSON.stringify(body),
    });

  test.each<[string, Told]>([
    ["a commit", {}],
    ["a repeat", { headers: { "idempotent-replayed": "true" } }],
    ["a rejection", problem("insufficient_funds", 422, { transaction_id: id(1), seq: 3 })],
    [
      "what the payer has",
      problem("insufficient_funds", 422, { transaction_id: id(1), seq: 3, available: 5 }),
    ],
    ["a full gateway", { ...problem("overloaded", 503), headers: { "retry-after": "1" } }],
  ])("but not %s", (_, told) => {
    expect(wrong(told)).toBe("");
  });

  test.each<[string, Told]>([
    ["another status", { status: 201 }],
    ["another type", { type: "text/plain" }],
    ["a field too few", { body: { ...good, seq: undefined } }],
    ["a field too many", { body: { ...good, secret: 1 } }],
    ["a field of another type", { body: { ...good, seq: "4" } }],
    ["a header that is not told", { headers: { "retry-after": "1" } }],
    ["a header of another value", { headers: { "idempotent-replayed": "yes" } }],
    ["a missing header", problem("overloaded", 503)],
    ["a code of another route", problem("account_exists", 409)],
    ["a code of another status", problem("insufficient_funds", 409)],
    ["a problem with a member that is not told", problem("internal_error", 500, { stack: "at x" })],
  ])("%s", (_, told) => {
    expect(wrong(told)).not.toBe("");
  });
});

const DEFAULTS: RequestDefaults = { currency: currency("USD"), newId: () => id(1) };

/** What is sent in a field: good, nearly good, or anything. */
const NAME_LIKE = fc.string({
  unit: fc.constantFrom(..."aZ09._:@+- \n\0/é", "\u2028", "\ud800"),
  maxLength: 66,
});
const DIGITS_LIKE = fc.oneof(
  fc.constantFrom("0", "00", "01", "-1", "+1", " 1", "1\n", "1.0", "1e3", "", "١"),
  fc.bigInt({ min: 2n ** 63n - 3n, max: 2n ** 63n + 3n }).map(String),
  fc.bigInt({ min: 0n, max: 10n ** 20n }).map(String),
);
// What a double does not hold exactly, a schema on parsed JSON cannot judge.
const NUMBERS = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const junk = fc.oneof(
  NAME_LIKE,
  DIGITS_LIKE,
  NUMBERS.filter(
    (number) => Number.isSafeInteger(number) || Math.abs(number) < 2 ** 53 || Math.abs(number) > 2 ** 64,
  ),
  fc.jsonValue(),
  uuids.map((uuid) => uuid.toUpperCase()),
  uuids.map((uuid) => `{${uuid}}`),
);

const amountTexts = amounts.map((amount) =>
  typeof amount === "number" && amount % 2 === 0 ? amount : String(amount),
);
const FIELDS = {
  transaction_id: uuids,
  from_account: accounts,
  to_account: accounts,
  account_id: accounts,
  amount: amountTexts,
  initial_balance: fc.oneof(fc.constant(0), fc.constant("0"), amountTexts),
  currency: currencies,
  transfers: fc.constant([]),
  atomic: fc.constant(false),
} satisfies Record<string, fc.Arbitrary<unknown>>;
type Field = keyof typeof FIELDS;

/** An object of these fields, more or less. */
function nearly(required: readonly Field[], optional: readonly Field[]): fc.Arbitrary<Json> {
  const model = Object.fromEntries([...required, ...optional].map((field) => [field, FIELDS[field]]));
  const good = fc.record(model, { requiredKeys: [...required] });
  const names = fc.oneof(
    fc.constantFrom(...required, ...optional),
    fc.constantFrom("__proto__", "note", ""),
    fc.string(),
  );
  const change = fc.oneof(
    fc.tuple(fc.constant("set" as const), names, junk),
    fc.tuple(fc.constant("drop" as const), fc.constantFrom(...required), fc.constant(0)),
  );
  const changes = fc.oneof(fc.constant([]), fc.array(change, { minLength: 1, maxLength: 2 }));
  return fc.tuple(good, changes).map(([fields, changed]) => {
    const map = new Map(Object.entries(fields as object));
    for (const [what, name, value] of changed) what === "set" ? map.set(name, value) : map.delete(name);
    return Object.fromEntries(map);
  });
}

const transferLike = nearly(["from_account", "to_account", "amount"], ["transaction_id", "currency"]);
const moveLike = nearly(["account_id", "amount"], ["transaction_id", "currency"]);
const openingLike = nearly(["account_id"], ["transaction_id", "currency", "initial_balance"]);
const batchLike = fc
  .tuple(
    nearly(["transfers"], ["atomic"]),
    fc.array(fc.oneof({ weight: 9, arbitrary: transferLike }, { weight: 1, arbitrary: junk }), {
      maxLength: 3,
    }),
  )
  .map(([fields, transfers]) => (Array.isArray(fields.transfers) ? { ...fields, transfers } : fields));

const encode = (text: string) => new TextEncoder().encode(text);

function accepted(parse: (bytes: Uint8Array) => unknown, text: string): boolean {
  try {
    parse(encode(text));
    return true;
  } catch (error) {
    if (error instanceof InvalidInput) return false;
    throw error;
  }
}

/** The one rule about fields together, which a schema cannot say. */
function paysItself(body: Json): boolean {
  const transfers = Array.isArray(body?.transfers) ? body.transfers : [body];
  return transfers.some((transfer: Json) => transfer?.from_account === transfer?.to_account);
}

const transferOf = (bytes: Uint8Array) => parseCommand("transfer", bytes, DEFAULTS);

describe("a request's schema takes what the validator takes", () => {
  for (const [name, documents, parse, together] of [
    ["TransferRequest", transferLike, transferOf, paysItself],
    ["BatchRequest", batchLike, (bytes) => parseBatch(bytes, DEFAULTS), paysItself],
    ["DepositRequest", moveLike, (bytes) => parseCommand("deposit", bytes, DEFAULTS), () => false],
    ["WithdrawRequest", moveLike, (bytes) => parseCommand("withdraw", bytes, DEFAULTS), () => false],
    [
      "OpenAccountRequest",
      openingLike,
      (bytes) => parseCommand("open_account", bytes, DEFAULTS),
      () => false,
    ],
  ] as [string, fc.Arbitrary<Json>, (bytes: Uint8Array) => unknown, (body: Json) => boolean][]) {
    test(name, () => {
      let taken = 0;
      const anything = fc.oneof({ weight: 20, arbitrary: documents }, { weight: 1, arbitrary: junk });
      fc.assert(
        fc.property(anything, (body) => {
          const text = JSON.stringify(body);
          const parsed = JSON.parse(text);
          const bySchema = openApi.accepts(name, parsed) && !together(parsed);
          expect([text, bySchema]).toEqual([text, accepted(parse, text)]);
          if (bySchema) taken++;
        }),
        { numRuns: 3_000 },
      );
      expect(taken).toBeGreaterThan(100);
    });
  }

  test("but for what no schema can say", () => {
    const others = '"from_account":"a","to_account":"b"';
    for (const text of [
      `{${others},"amount":1.0}`,
      `{${others},"amount":1e3}`,
      `{${others},"amount":1,"amount":1}`,
      '{"from_account":"a","to_account":"a","amount":1}',
    ]) {
      expect(openApi.accepts("TransferRequest", JSON.parse(text))).toBe(true);
      expect(accepted(transferOf, text)).toBe(false);
    }
    const minusZero = '{"account_id":"a","initial_balance":-0}';
    expect(openApi.accepts("OpenAccountRequest", JSON.parse(minusZero))).toBe(true);
    expect(accepted((bytes) => parseCommand("open_account", bytes, DEFAULTS), minusZero)).toBe(false);
  });
});

test("the patterns of names take what their parsers take", () => {
  const texts = fc.oneof(NAME_LIKE, accounts, currencies, uuids, fc.constant(WORLD), junk.map(fc.stringify));
  fc.assert(
    fc.property(texts, (text) => {
      const ordinary = parseAccount(text) !== undefined;
      expect([text, openApi.accepts("Account", text)]).toEqual([text, ordinary]);
      expect([text, openApi.accepts("AnyAccount", text)]).toEqual([text, ordinary || text === WORLD]);
      expect([text, openApi.accepts("Currency", text)]).toEqual([text, parseCurrency(text) !== undefined]);
      const uuid = parseTransactionId(text);
      expect([text, openApi.accepts("UuidOfCaller", text)]).toEqual([text, uuid !== undefined]);
      expect([text, openApi.accepts("TransactionId", text)]).toEqual([text, uuid === text]);
    }),
    { numRuns: 3_000 },
  );
});
