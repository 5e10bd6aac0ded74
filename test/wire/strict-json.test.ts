/** JSON as it is read from callers, held against JSON.parse. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { InvalidInput, JsonNumber, type JsonValue, parseJson, pointer } from "../../src/wire/strict-json.ts";
import "../../tools/harness/seed.ts";

const MAX_DEPTH = 16;
const MAX_VALUES = 65_536;
const MAX_KEY_LENGTH = 256;

const utf8 = new TextEncoder();

function parse(text: string): JsonValue {
  return parseJson(utf8.encode(text));
}

/** As JSON.parse would give it. */
function plain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return Number(value.text);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

/** What a text is refused for; undefined where it is read. Throws at anything that is not a refusal. */
function refusalOf(bytes: Uint8Array): InvalidInput | undefined {
  try {
    parseJson(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidInput) return error;
    throw error;
  }
}

/** Refusals of what JSON.parse passes over. */
const STRICTER = /^(duplicate key|nested deeper than|more than .* values|a key is longer than)/;

/** Fails unless our reading of these bytes and JSON.parse's agree. */
function compare(bytes: Uint8Array): void {
  const refusal = refusalOf(bytes);
  let theirs: unknown;
  try {
    theirs = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    expect(refusal).toBeInstanceOf(InvalidInput);
    return;
  }
  if (refusal) expect(refusal.message).toMatch(STRICTER);
  else expect(JSON.stringify(plain(parseJson(bytes)))).toBe(JSON.stringify(theirs));
}

const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);

/** Any JSON text: any white space, any escapes, any form of a number. */
const { text: jsonText } = fc.letrec<{ text: string; string: string }>((tie) => ({
  string: fc
    .array(
      fc.oneof(
        fc.string({ unit: "binary" }).map((text) => JSON.stringify(text).slice(1, -1)),
        fc.constantFrom(
          '\\"',
          "\\\\",
          "\\/",
          "\\b",
          "\\f",
          "\\n",
          "\\r",
          "\\t",
          "\\u0041",
          "\\uD83D\\uDE00",
          "\\ud800",
          "\\u0000",
        ),
      ),
      { maxLength: 4 },
    )
    .map((parts) => `"${parts.join("")}"`),
  text: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("null", "true", "false"),
    fc.stringMatching(/^-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?$/),
    tie("string"),
    fc
      .tuple(space, fc.array(fc.tuple(space, tie("text"), space), { maxLength: 4 }))
      .map(([before, items]) => `[${before}${items.map((item) => item.join("")).join(",")}]`),
    fc
      .tuple(
        space,
        fc.array(fc.tuple(space, tie("string"), space, space, tie("text"), space), { maxLength: 4 }),
      )
      .map(
        ([before, members]) =>
          `{${before}${members.map(([a, key, b, c, value, d]) => `${a}${key}${b}:${c}${value}${d}`).join(",")}}`,
      ),
  ),
}));

describe("random JSON", () => {
  test("reads as JSON.parse reads it, or is refused for being ambiguous or too large", () => {
    fc.assert(
      fc.property(jsonText, space, space, (text, before, after) =>
        compare(utf8.encode(before + text + after)),
      ),
      { numRuns: 2_000 },
    );
  });

  test("of plain values is never refused", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), fc.nat(3), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(JSON.stringify(plain(parse(text)))).toBe(JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 1_000 },
    );
  });

  test("that is damaged is read only where JSON.parse reads it, and as the same", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        ...'{}[]:,"\\ 01-+.eEtfn\n\0\u007f',
        "\ufeff",
        "\u2028",
        "/*",
        "NaN",
        "\\u12",
        "\\x",
        '"a"',
      ),
      fc.string({ maxLength: 2 }),
    );
    const cut = fc.record({
      at: fc.nat(),
      length: fc.nat({ max: 3 }),
      piece: fc.oneof(fc.constant(""), piece),
    });
    fc.assert(
      fc.property(jsonText, fc.array(cut, { minLength: 1, maxLength: 3 }), (text, cuts) => {
        let damaged = text;
        for (const { at, length, piece: instead } of cuts) {
          const from = at % (damaged.length + 1);
          damaged = damaged.slice(0, from) + instead + damaged.slice(from + length);
        }
        compare(utf8.encode(damaged));
      }),
      { numRuns: 5_000 },
    );
  });

  test("with any byte in any place is read only where it is UTF-8", () => {
    const byte = fc.record({ at: fc.nat(), value: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(jsonText, fc.array(byte, { minLength: 1, maxLength: 3 }), (text, bytes) => {
        const damaged = utf8.encode(text);
        for (const { at, value } of bytes) damaged[at % damaged.length] = value;
        compare(damaged);
      }),
      { numRuns: 3_000 },
    );
  });

  test("of bytes at random is refused with a reason and a place", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        const refusal = refusalOf(bytes);
        if (refusal) {
          expect(refusal.message.length).toBeGreaterThan(0);
          expect(refusal.path).toMatch(/^(\/|$)/);
        } else compare(bytes);
      }),
      { numRuns: 2_000 },
    );
  });
});

test("a number keeps every digit that it had", () => {
  for (const text of [
    "0",
    "-0",
    "9007199254740993",
    "9223372036854775808",
    "1.0",
    "1e3",
    "1E+3",
    "0.10",
    "1".repeat(5_000),
  ]) {
    expect(parse(`[${text}]`)).toEqual([new JsonNumber(text)]);
  }
});

test("a string may be as long as a body", () => {
  for (const length of [0, 1, 255, 65_536, 1 << 20, 5 << 20]) {
    expect(parse(JSON.stringify("a".repeat(length)))).toBe("a".repeat(length));
  }
  expect(parse(JSON.stringify("\n".repeat(1 << 20)))).toBe("\n".repeat(1 << 20));
});

test("a key may stand in an object once, however it is written", () => {
  const twice: readonly (readonly [text: string, path: string])[] = [
    ['{"a":1,"a":1}', "/a"],
    ['{"a":1,"\\u0061":1}', "/a"],
    ['{"a":1,"b":2,"a":null}', "/a"],
    ['[0,{"b":{"":1,"":2}}]', "/1/b/"],
    ['{"a/b~c":1,"a\\/b~c":1}', "/a~1b~0c"],
    ['{"__proto__":1,"__proto__":1}', "/__proto__"],
  ];
  for (const [text, path] of twice) {
    expect(refusalOf(utf8.encode(text))).toMatchObject({ message: "duplicate key", path });
  }
  expect(plain(parse('[{"a":1},{"a":1},{"A":1,"a":1}]'))).toEqual([{ a: 1 }, { a: 1 }, { A: 1, a: 1 }]);
});

describe("bounds", () => {
  const nested = (levels: number) => `${'[{"a":'.repeat(levels / 2)}0${"}]".repeat(levels / 2)}`;

  test("16 levels are read, 17 are not, whatever stands in them", () => {
    expect(refusalOf(utf8.encode(nested(MAX_DEPTH)))).toBeUndefined();
    expect(refusalOf(utf8.encode(`[${nested(MAX_DEPTH)}]`))?.message).toMatch(
      /^nested deeper than 16 levels/,
    );
    for (const open of ["[", '{"a":', '[{"a":']) {
      expect(refusalOf(utf8.encode(open.repeat(1_000_000)))?.message).toMatch(/^nested deeper/);
    }
  });

  test("65,536 values are read, one more is not", () => {
    const values = (count: number) =>
      `[${Array(count - 1)
        .fill("0")
        .join(",")}]`;
    expect(refusalOf(utf8.encode(values(MAX_VALUES)))).toBeUndefined();
    expect(refusalOf(utf8.encode(values(MAX_VALUES + 1)))).toMatchObject({ path: `/${MAX_VALUES - 1}` });
  });

  test("keys of 256 characters are read, longer ones are not", () => {
    const key = (length: number) => `{"a":{"${"k".repeat(length)}":1}}`;
    expect(refusalOf(utf8.encode(key(MAX_KEY_LENGTH)))).toBeUndefined();
    expect(refusalOf(utf8.encode(key(MAX_KEY_LENGTH + 1)))).toMatchObject({ path: "/a" });
  });
});

test("a place is a JSON pointer", () => {
  expect(pointer("", "a")).toBe("/a");
  expect(pointer("/a", 7)).toBe("/a/7");
  expect(pointer("/a", "m~n/o")).toBe("/a/m~0n~1o");
  expect(pointer("", "~1")).toBe("/~01");
  expect(pointer("/a", "")).toBe("/a/");
});
