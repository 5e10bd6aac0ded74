/** The order of the reasons is precedence, for every command. */

import { expect, test } from "bun:test";
import { moduleOf } from "../../src/domain/commands/commands.ts";
import { TRANSACTION_KINDS } from "../../src/domain/kinds.ts";
import { REJECTIONS, REJECTIONS_BY_NUMBER, rejectionNumber } from "../../src/domain/rejections.ts";

test("every command checks its reasons in the order of all reasons", () => {
  for (const kind of TRANSACTION_KINDS) {
    const { rejections } = moduleOf(kind);
    expect([...rejections]).toEqual(REJECTIONS.filter((reason) => rejections.includes(reason)));
  }
});

test("each reason has a number of its own, and none has 0", () => {
  expect(REJECTIONS_BY_NUMBER[0]).toBeUndefined();
  expect(rejectionNumber(undefined)).toBe(0);
  for (const reason of REJECTIONS) expect(REJECTIONS_BY_NUMBER[rejectionNumber(reason)]).toBe(reason);
});
