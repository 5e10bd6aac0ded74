/** 100 users of k6 against the compiled executable. */

import { expect, test } from "bun:test";
import { runLoad } from "../../k6/run.ts";
import { SEED } from "../../tools/harness/seed.ts";

const SECONDS = 10;

test("under the load of 100 users no money is made or lost, and every answer is in the log", async () => {
  const { problems, counts } = await runLoad(SECONDS, SEED);
  expect(problems).toEqual([]);
  expect(counts.requests).toBeGreaterThan(0);
});
