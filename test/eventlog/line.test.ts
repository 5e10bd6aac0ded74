/** One line of the log read back: what a reader takes, passes over and refuses. */

import { describe, expect, test } from "bun:test";
import { BadLine, NewerFormat, parseLine } from "../../src/eventlog/line.ts";
import { currency, id, ledgerOpened, MAX, moneyCredited } from "../support/ledger-specs.ts";

const USD = currency("USD");
const one = { id: id(1) };

const CREDITED = `"seq":8,"type":"MoneyCredited","transaction_id":"${id(1)}","account":"bob"`;
const OPENED = `"seq":1,"type":"LedgerOpened","format":1,"ledger_id":"${ledgerOpened().ledger_id}","currency":"USD","strict":false`;

describe("a line", () => {
  test("in the middle of a command has no end; the last one says where the command stood", () => {
    expect(parseLine(`{${CREDITED},"amount":20}`, USD)).toEqual({
      seq: 8,
      event: moneyCredited("bob", 20, one),
      end: undefined,
    });
    expect(
      parseLine(`{${CREDITED},"amount":20,"at":1795243425437,"command":"4.12","crc":"5bcfe0bf"}`, USD).end,
    ).toEqual({
      at: 1_795_243_425_437,
      sequence: 4,
      index: 12,
    });
  });

  test("has the ledger's currency where it names none", () => {
    expect(parseLine(`{${CREDITED},"amount":20}`, currency("EUR")).event).toEqual(
      moneyCredited("bob", 20, { ...one, currency: "EUR" }),
    );
    expect(parseLine(`{${CREDITED},"amount":20,"currency":"XAU"}`, USD).event).toEqual(
      moneyCredited("bob", 20, { ...one, currency: "XAU" }),
    );
  });

  test("may have its fields in any order, and fields that nobody here knows", () => {
    for (const text of [
      `{"amount":20,"account":"bob","transaction_id":"${id(1)}","type":"MoneyCredited","seq":8}`,
      `{${CREDITED},"memo":"thanks","amount":20,"more":[1,{"a":null}]}`,
      `{"__proto__":{"amount":1},"constructor":"x",${CREDITED},"amount":20}`,
    ])
      expect(parseLine(text, USD)).toEqual({ seq: 8, event: moneyCredited("bob", 20, one), end: undefined });
  });

  test("has amounts above 2^53 to the last digit, whatever stands before them", () => {
    for (const amount of [2n ** 53n, 2n ** 53n + 1n, 10n ** 18n + 7n, MAX]) {
      for (const text of [
        `{${CREDITED},"amount":${amount}}`,
        `{${CREDITED},"amount":${amount},"memo":"x"}`,
        `{${CREDITED},"fee":{"amount":5},"amount":${amount}}`,
        `{${CREDITED},"memo":"\\"amount\\":5,","amount":${amount}}`,
        `{${CREDITED},"amount" : ${amount} }`,
      ])
        expect(parseLine(text, USD).event).toEqual(moneyCredited("bob", amount, one));
    }
  });
});

describe("no line of a log", () => {
  const last = `{${CREDITED},"amount":20,"at":1,"command":"4.0","crc":"00000000"}`;

  test.each<[string, string]>([
    ["nothing", ""],
    ["no JSON", "{"],
    ["an array", "[]"],
    ["null", "null"],
    ["a number", "1"],
    ["no type", `{"seq":8}`],
    ["no seq", `{${CREDITED.slice(8)},"amount":20}`],
    ["a seq as a text", `{${CREDITED.replace("8", '"8"')},"amount":20}`],
    ["a seq with a fraction", `{${CREDITED.replace("8", "8.5")},"amount":20}`],
    ["no amount", `{${CREDITED}}`],
    ["an amount of 0", `{${CREDITED},"amount":0}`],
    ["a negative amount", `{${CREDITED},"amount":-1}`],
    ["an amount with a fraction", `{${CREDITED},"amount":1.5}`],
    ["an amount as a text", `{${CREDITED},"amount":"20"}`],
    ["an amount of 2^63", `{${CREDITED},"amount":9223372036854775808}`],
    ["an amount with an exponent, beyond what is exact", `{${CREDITED},"amount":1e18}`],
    ["an account's name that is none", `{${CREDITED.replace("bob", "@bob")},"amount":20}`],
    ["an id that is none", `{${CREDITED.replace("0190", "019x")},"amount":20}`],
    ["an id in upper case", `{${CREDITED.replace("b5c0", "B5C0")},"amount":20}`],
    ["a currency that is none", `{${CREDITED},"amount":20,"currency":"usd"}`],
    ["a currency of null", `{${CREDITED},"amount":20,"currency":null}`],
    ["a command without a crc's place", last.replace('"4.0"', '"4"')],
    ["a command 0", last.replace('"4.0"', '"0.0"')],
    ["a command with a leading zero", last.replace('"4.0"', '"4.00"')],
    ["a time as a text", last.replace('"at":1', '"at":"1"')],
    ["no time", last.replace('"at":1,', "")],
    ["a crc and no command", last.replace('"command":"4.0",', "")],
  ])("%s", (_, text) => {
    expect(() => parseLine(text, USD)).toThrow(BadLine);
  });

  test("an opening of the ledger that lacks a part", () => {
    expect(parseLine(`{${OPENED}}`, undefined).event).toEqual(ledgerOpened());
    for (const [whole, broken] of [
      ['"format":1', '"format":"1"'],
      ['"format":1', '"format":0'],
      [',"currency":"USD"', ""],
      ["false", "0"],
      ["4f1a", "4F1A"],
    ] as const)
      expect(() => parseLine(`{${OPENED.replace(whole, broken)}}`, undefined)).toThrow(BadLine);
  });

  test("a line without a currency, where the ledger's is not known", () => {
    expect(() => parseLine(`{${CREDITED},"amount":20}`, undefined)).toThrow(BadLine);
  });
});

test("an opening of a newer format is not judged", () => {
  for (const format of [2, 3, 1_000])
    expect(() => parseLine(`{${OPENED.replace('"format":1', `"format":${format}`)}}`, undefined)).toThrow(
      NewerFormat,
    );
});
