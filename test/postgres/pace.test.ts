/** How much is written at a time. */

import { expect, test } from "bun:test";
import { paceOf } from "../../src/postgres/pace.ts";

const usual = { batchSize: 200, rest: 0 };
const large = { batchSize: 5_000, rest: 0 };
const busy = { batchSize: 200, rest: 9 };

test.each([
  ["not far behind", 5_000, undefined, usual],
  ["far behind", 5_001, undefined, large],
  ["and the log stands still", 20_000, { lag: 25_000, pace: large }, large],
  ["and it grows by less than half of what is written", 22_000, { lag: 25_000, pace: large }, large],
  ["and it grows by more", 23_000, { lag: 25_000, pace: large }, busy],
  ["and it grew by more than could be written without the rest", 26_900, { lag: 25_000, pace: busy }, busy],
  ["and it grew by less than could be written without the rest", 26_700, { lag: 25_000, pace: busy }, large],
  ["nearly there", 3_000, { lag: 25_000, pace: busy }, usual],
])("%s", (_, lag, before, pace) => {
  expect(paceOf(lag, before)).toEqual(pace);
});
