/** An account with 100 that pays 20 ten times, under every runtime. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { CofferNode, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";

const PAYERS = 20;

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  let node: CofferNode;
  const payers: string[] = [];

  afterAll(() => node.crash());

  beforeAll(async () => {
    node = await CofferNode.start(temporaryFolder(), { runtime });
  });

  const pay = (from_account: string) => node.client.transfer({ from_account, to_account: "bob", amount: 20 });

  async function openWith100(name: string): Promise<string> {
    expect((await node.client.open(name, 100)).status).toBe(201);
    payers.push(name);
    return name;
  }

  /** Reads balances until `work` is done. */
  async function watched<T>(accounts: readonly string[], work: () => Promise<T>): Promise<T> {
    let done = false;
    const seen: number[][] = [];
    const watch = async () => {
      do seen.push(await Promise.all(accounts.map((account) => node.client.balance(account))));
      while (!done);
    };
    const watching = watch();
    try {
      return await work();
    } finally {
      done = true;
      await watching;
      const steps = seen.flat().filter((balance) => ![100, 80, 60, 40, 20, 0].includes(balance));
      expect(steps).toEqual([]);
    }
  }

  test("one after another: five go through, then five are rejected", async () => {
    const alice = await openWith100("alice");
    const statuses = await watched([alice], async () => {
      const answers = [];
      for (let i = 0; i < 10; i++) answers.push(await pay(alice));
      expect(answers.slice(0, 5).map(({ body }) => body.from_balance)).toEqual([80, 60, 40, 20, 0]);
      expect(answers.slice(5).map(({ body }) => body.code)).toEqual(Array(5).fill("insufficient_funds"));
      return answers.map(({ status }) => status);
    });
    expect(statuses).toEqual([200, 200, 200, 200, 200, 422, 422, 422, 422, 422]);
    expect(await node.client.balance(alice)).toBe(0);
  });

  test("all at once, by twenty payers: five go through and five are rejected, each time", async () => {
    const many = await Promise.all(Array.from({ length: PAYERS }, (_, i) => openWith100(`payer-${i}`)));
    await watched(many, async () => {
      const turns = Array.from({ length: 10 }, () => many).flat();
      const answers = await Promise.all(turns.map(async (payer) => ({ payer, ...(await pay(payer)) })));
      for (const payer of many) {
        const statuses = answers.filter((answer) => answer.payer === payer).map(({ status }) => status);
        expect(statuses.sort()).toEqual([200, 200, 200, 200, 200, 422, 422, 422, 422, 422]);
      }
    });
    for (const payer of many) expect(await node.client.balance(payer)).toBe(0);
  });

  test("all in one batch: the first five go through", async () => {
    const carol = await openWith100("carol");
    const { status, body } = await watched([carol], () =>
      node.client.transfers(Array(10).fill({ from_account: carol, to_account: "bob", amount: 20 })),
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({ committed: 5, replayed: 0, failed: 5 });
    expect(body.failures.map(({ index }: { index: number }) => index)).toEqual([5, 6, 7, 8, 9]);
    expect(await node.client.balance(carol)).toBe(0);
  });

  test("the log has exactly 5 MoneyDeducted and 5 TransactionFailed of each payer", async () => {
    expect(await node.stop()).toBe(0);
    const { lines, balances } = replayIndependently(join(node.data, "events.log"));
    expect(payers).toHaveLength(PAYERS + 2);
    for (const payer of payers) {
      const count = (type: string) =>
        lines.filter((line) => line.type === type && (line.account ?? line.from_account) === payer).length;
      expect([payer, count("MoneyDeducted"), count("TransactionFailed")]).toEqual([payer, 5, 5]);
      expect(balances.get(`${payer},USD`)).toEqual({ available: 0n, frozen: 0n });
    }
    expect(balances.get("bob,USD")).toEqual({ available: BigInt(payers.length * 100), frozen: 0n });
  });
});
