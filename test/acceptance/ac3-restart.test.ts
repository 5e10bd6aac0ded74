/** What the ledger knows, it knows again after a stop and after a crash, under every runtime. */

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { CofferNode, RUNTIME_NAMES, replay } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { Tellers } from "../support/tellers.ts";

const REQUESTS = 400;
const AT_ONCE = 16;
const CRASHES = 3;

const logOf = (node: CofferNode) => join(node.data, "events.log");

/** Every balance as the node answers it; undefined where the account was never opened. */
async function balancesOf({ client }: CofferNode, accounts: readonly string[]) {
  const answers = await Promise.all(
    accounts.map(async (account) => {
      const { status, body } = await client.get(`/v1/wallet/balance/${account}`);
      expect([200, 404]).toContain(status);
      return [account, status === 200 ? [body.available, body.frozen] : undefined] as const;
    }),
  );
  return Object.fromEntries(answers);
}

/** The same, from the log alone. */
function loggedBalances(node: CofferNode, accounts: readonly string[]) {
  const { balances } = replayIndependently(logOf(node));
  return Object.fromEntries(
    accounts.map((account) => {
      const balance = balances.get(`${account},USD`);
      return [account, balance && [Number(balance.available), Number(balance.frozen)]];
    }),
  );
}

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test("after a stop every balance is what it was, and replay agrees with an independent one", async () => {
    const tellers = new Tellers(randomIntegers(SEED));
    const first = await CofferNode.start(temporaryFolder(), { runtime });
    await tellers.work(first.client, REQUESTS, AT_ONCE);
    const accounts = ["@world", ...tellers.accounts];
    const [balances, ledger] = [await balancesOf(first, accounts), await first.client.ledger()];
    expect(ledger.totals[0].sum).toBe(0);
    expect(await first.stop()).toBe(0);

    const independent = replayIndependently(logOf(first));
    expect(await replay(first.data, runtime)).toMatchObject({
      digest: independent.digest,
      events: independent.events,
      commands: independent.commands,
    });
    expect(loggedBalances(first, accounts)).toEqual(balances);

    const second = await CofferNode.start(first.data, { runtime });
    expect(await balancesOf(second, accounts)).toEqual(balances);
    expect(await second.client.ledger()).toEqual(ledger);
    await tellers.work(second.client, REQUESTS / 4, AT_ONCE);
    expect(await second.stop()).toBe(0);
    expect(tellers.problems(logOf(second))).toEqual([]);
    expect([...tellers.statuses.keys()].sort()).toEqual([200, 201, 422]);
  });

  test("after each of three crashes under load everything acknowledged is there, once", async () => {
    const tellers = new Tellers(randomIntegers(SEED + 1));
    const data = temporaryFolder();
    for (let crash = 1; crash <= CRASHES; crash++) {
      const node = await CofferNode.start(data, { runtime });
      await tellers.settle(node.client);
      expect(tellers.unsettled).toBe(0);
      expect(await balancesOf(node, tellers.accounts)).toEqual(loggedBalances(node, tellers.accounts));
      const enough = tellers.acknowledged + 100 + randomIntegers(SEED + crash)(200);
      const working = tellers.work(node.client, 100_000, AT_ONCE);
      await eventually("more were answered", () => tellers.acknowledged >= enough);
      await node.crash();
      tellers.stop();
      await working;
      expect(tellers.problems(logOf(node))).toEqual([]);
    }
    const last = await CofferNode.start(data, { runtime });
    await tellers.settle(last.client);
    expect(tellers.unsettled).toBe(0);
    const balances = await balancesOf(last, tellers.accounts);
    expect(await last.stop()).toBe(0);
    expect(loggedBalances(last, tellers.accounts)).toEqual(balances);
    expect(tellers.problems(logOf(last))).toEqual([]);
    expect((await replay(data, runtime)).digest).toBe(replayIndependently(logOf(last)).digest);
  });
});
