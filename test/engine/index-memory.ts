/**
 * What an index of transaction ids costs while it grows, in a process of its own, where nothing else comes and
 * goes: a line `[ids, bytes]` at each of many sizes, of the memory outside of JavaScript's own heap.
 */

import { heapStats } from "bun:jsc";
import { money } from "../../src/domain/amount.ts";
import { TransactionIndex } from "../../src/engine/transaction-index.ts";
import { RECORD_INTS, SEGMENT_RECORDS } from "../../src/engine/transaction-records.ts";
import { account, currency, id } from "../support/ledger-specs.ts";

const LAST_SEGMENT = SEGMENT_RECORDS * RECORD_INTS * 4; // is there in full, however few records it has

const before = bytes();
const index = new TransactionIndex([1, 7]);
const decision = {
  kind: "transfer",
  from_account: account("alice"),
  to_account: account("bob"),
  amount: money(20n),
  currency: currency("USD"),
  reason: undefined,
  seq: 3,
} as const;
for (let size = 180_000; size < 800_000; size = Math.round(size * 1.03)) {
  while (index.size < size) index.record(id(index.size), decision);
  console.log(JSON.stringify([size, bytes() - before - LAST_SEGMENT]));
}

function bytes(): number {
  Bun.gc(true);
  return heapStats().extraMemorySize;
}
