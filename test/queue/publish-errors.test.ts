/** What each error of JetStream says about the frame that it answers. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { verdictOf } from "../../src/queue/publish-errors.ts";

const LIMITS = [
  "maximum messages exceeded",
  "maximum bytes exceeded",
  "maximum messages per subject exceeded",
  "message too large",
];

test.each(LIMITS)("a store that refuses because of a limit (%s) does not have the frame", (description) => {
  expect(verdictOf({ err_code: 10_077, description })).toBe("refused");
});

const FAILURES = [
  "store is closed",
  "",
  "input/output error",
  "Maximum bytes exceeded",
  "maximum bytes exceeded: 1",
];
test.each(FAILURES)("a store that failed otherwise (%p) may have it", (description) => {
  expect(verdictOf({ err_code: 10_077, description })).toBe("unknown");
});

test("what is no code that is known says nothing", () => {
  for (const err_code of [undefined, null, "10054", 0, -1, 1e300, Number.NaN, 10_999, 10_054.5, {}])
    expect(verdictOf({ err_code, description: "maximum bytes exceeded" })).toBe("unknown");
  expect(verdictOf({ err_code: 10_077 })).toBe("unknown");
  expect(verdictOf({ err_code: 10_077, description: 1 })).toBe("unknown");
});

test("the code says of each error what the table at its head says", () => {
  const head = readFileSync(new URL("../../src/queue/publish-errors.ts", import.meta.url), "utf8");
  const rows = [...head.matchAll(/^ \* \| ([0-9 ,…]+) \|.*\| (refused|unknown) \|$/gm)];
  const codes = new Map<number, string>();
  for (const [, numbers = "", verdict = ""] of rows) {
    for (const part of numbers.split(",")) {
      const [from = 0, to = from] = part.split("…").map(Number);
      for (let code = from; code <= to; code++) codes.set(code, verdict);
    }
  }
  expect(codes.size).toBeGreaterThan(40);
  codes.delete(10_077);
  for (let code = 10_000; code < 10_400; code++)
    expect(`${code} ${verdictOf({ err_code: code })}`).toBe(`${code} ${codes.get(code) ?? "unknown"}`);
});
