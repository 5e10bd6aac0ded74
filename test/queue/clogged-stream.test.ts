/** Messages that write nothing cannot be purged: they must not fill the embedded stream for good. */

import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";

test("a stream that repeats have filled takes commands again, and forgets none of them", async () => {
  const flags = ["--stream-max-bytes", String(1 << 20)];
  let node = await CofferNode.start(temporaryFolder(), { flags });
  await node.client.open("alice", 10_000);
  const transfers = Array.from({ length: 2_000 }, () => ({
    transaction_id: randomUUID(),
    from_account: "alice",
    to_account: "bob",
    amount: 1,
  }));
  expect((await node.client.transfers(transfers)).body.committed).toBe(2_000);
  let refused = 0;
  for (let repeat = 0; refused === 0 && repeat < 100; repeat++) {
    const { status, body } = await node.client.transfers(transfers);
    if (status === 200) expect(body.replayed).toBe(2_000);
    else refused++;
  }
  expect(refused).toBe(1);
  const transaction_id = randomUUID();
  await eventually("a deposit is taken", async () => {
    return (await node.client.deposit("alice", 1, { transaction_id })).status === 200;
  });
  expect((await node.client.transfers(transfers)).body.replayed).toBe(2_000);
  const ledger = await node.client.ledger();
  expect(await node.stop()).toBe(0);
  node = await CofferNode.start(node.data, { flags });
  expect(await node.client.ledger()).toEqual(ledger);
  expect(await node.stop()).toBe(0);
});
