/** What must hold of a node whatever was done to it. */

import { expect } from "bun:test";
import { join } from "node:path";
import { type CofferNode, coffer, replay } from "../../tools/harness/coffer.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import type { Tellers } from "./tellers.ts";

/**
 * Everything that was asked is answered and in the log once, the balances are those of the log, and the log
 * is one that `coffer verify` and an independent replay accept: no place of the stream stands in it twice.
 * Stops the node.
 */
export async function expectWhole(node: CofferNode, tellers: Tellers): Promise<void> {
  await tellers.settle(node.client);
  expect(tellers.unsettled).toBe(0);
  const accounts = ["@world", ...tellers.accounts];
  const answers = await Promise.all(
    accounts.map((account) => node.client.get(`/v1/wallet/balance/${account}`)),
  );
  const answered = answers.map(({ status, body }) => (status === 404 ? undefined : body.balance));
  expect((await node.client.ledger()).totals.every(({ sum }: { sum: number }) => sum === 0)).toBe(true);
  expect(await node.stop()).toBe(0);

  const log = join(node.data, "events.log");
  expect(tellers.problems(log)).toEqual([]);
  const independent = replayIndependently(log);
  const logged = accounts.map((account) => independent.balances.get(`${account},USD`)?.available);
  expect(answered).toEqual(
    logged.map((available) => (available === undefined ? undefined : Number(available))),
  );
  expect((await replay(node.data)).digest).toBe(independent.digest);
  expect(await coffer(["verify", "--data", node.data])).toMatchObject({ code: 0 });
}
