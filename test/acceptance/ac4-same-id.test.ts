/** The same id again: one set of events, whoever repeats it, however often, and however late. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { CofferNode, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import type { TransferRequest, WalletAnswer } from "../../tools/harness/wallet-client.ts";

const AT_ONCE = 50;

/** A request that can be sent again, and what its id must have in the log. */
interface Case {
  readonly name: string;
  readonly id: string;
  readonly status: number;
  readonly events: readonly string[];
  send(): Promise<WalletAnswer>;
}

const isReplay = ({ headers }: WalletAnswer) => headers.get("idempotent-replayed") === "true";

/** An answer without what may differ in a repeat: the balances, which are today's. */
function outcomeOf({ status, body }: WalletAnswer) {
  const { transaction_id, seq, code, status: state } = body;
  return { status, transaction_id, seq, code, state };
}

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  let node: CofferNode;
  const data = temporaryFolder();
  const first = new Map<string, ReturnType<typeof outcomeOf>>();
  const batched = new Map<string, readonly string[]>();

  beforeAll(async () => {
    node = await CofferNode.start(data, { runtime });
    await node.client.open("rich", 1_000_000);
    await node.client.open("poor", 5);
  });
  afterAll(() => node.crash());

  const transfer = (from_account: string, amount: number): TransferRequest => ({
    transaction_id: randomUUID(),
    from_account,
    to_account: "shop",
    amount,
  });

  const COMMITTED = ["MoneyDeducted", "MoneyCredited"];
  function casesOf(name: string): Case[] {
    const paid = transfer("rich", 30);
    const rejected = transfer("poor", 30);
    const [opened, deposited, withdrawn, overdrawn] = Array.from({ length: 4 }, () => randomUUID());
    const make = (what: string, id: string, status: number, events: string[], send: Case["send"]): Case => ({
      name: `${what}, ${name}`,
      id,
      status,
      events,
      send,
    });
    const [paidId, rejectedId] = [paid.transaction_id!, rejected.transaction_id!];
    const account = `${name.replaceAll(" ", "-")}-account`;
    return [
      make("a transfer", paidId, 200, COMMITTED, () => node.client.transfer(paid)),
      make("a rejected transfer", rejectedId, 422, ["TransactionFailed"], () =>
        node.client.transfer(rejected),
      ),
      make("an opening", opened!, 201, ["AccountOpened"], () =>
        node.client.open(account, 7, { transaction_id: opened }),
      ),
      make("a deposit", deposited!, 200, COMMITTED, () =>
        node.client.deposit("rich", 11, { transaction_id: deposited }),
      ),
      make("a withdrawal", withdrawn!, 200, COMMITTED, () =>
        node.client.withdraw("rich", 13, { transaction_id: withdrawn }),
      ),
      make("a rejected withdrawal", overdrawn!, 422, ["TransactionFailed"], () =>
        node.client.withdraw("poor", 6, { transaction_id: overdrawn }),
      ),
    ];
  }

  const twice = casesOf("sent twice");
  const atOnce = casesOf("sent 50 times at once");

  test.each(twice)("$name: the second answer is the first one again", async (it) => {
    const answer = await it.send();
    const again = await it.send();
    expect(answer.status).toBe(it.status);
    expect([isReplay(answer), isReplay(again)]).toEqual([false, true]);
    expect(outcomeOf(again)).toEqual(outcomeOf(answer));
    first.set(it.id, outcomeOf(answer));
  });

  test.each(atOnce)("$name: one answer is the first, and all say the same", async (it) => {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => it.send()));
    const outcome = outcomeOf(answers[0]!);
    expect(outcome.status).toBe(it.status);
    for (const answer of answers) expect(outcomeOf(answer)).toEqual(outcome);
    expect(answers.filter((answer) => !isReplay(answer))).toHaveLength(1);
    first.set(it.id, outcome);
  });

  test("an id in capitals is the same id", async () => {
    const request = transfer("rich", 3);
    const answer = await node.client.transfer({
      ...request,
      transaction_id: request.transaction_id!.toUpperCase(),
    });
    const again = await node.client.transfer(request);
    expect([isReplay(answer), isReplay(again)]).toEqual([false, true]);
    expect(outcomeOf(again)).toEqual(outcomeOf(answer));
    first.set(request.transaction_id!, outcomeOf(answer));
  });

  test("an id that stands in a batch many times is committed once, and its repeats are counted", async () => {
    const [paid, rejected] = [transfer("rich", 9), transfer("poor", 9)];
    const { body } = await node.client.transfers([paid, rejected, paid, rejected, paid]);
    expect(body).toMatchObject({ committed: 1, replayed: 2, failed: 2 });
    expect(body.failures).toEqual(
      [1, 3].map((index) => ({
        index,
        transaction_id: rejected.transaction_id,
        code: "insufficient_funds",
      })),
    );
    const alone = await node.client.transfer(paid);
    expect([alone.status, isReplay(alone)]).toEqual([200, true]);
    batched.set(paid.transaction_id!, COMMITTED);
    batched.set(rejected.transaction_id!, ["TransactionFailed"]);
  });

  test("50 batches and 50 single requests at once with one id commit it once", async () => {
    const shared = transfer("rich", 17);
    const singles = Array.from({ length: AT_ONCE }, () => node.client.transfer(shared));
    const batches = Array.from({ length: AT_ONCE }, () => {
      const others = [transfer("rich", 1), transfer("rich", 2)];
      for (const { transaction_id } of others) batched.set(transaction_id!, COMMITTED);
      return node.client.transfers([others[0]!, shared, others[1]!]);
    });
    const firsts = (await Promise.all(singles)).filter((answer) => {
      expect(answer.status).toBe(200);
      return !isReplay(answer);
    }).length;
    let committed = firsts;
    for (const { body } of await Promise.all(batches)) {
      expect([body.committed + body.replayed, body.failed]).toEqual([3, 0]);
      committed += body.committed - 2;
    }
    expect(committed).toBe(1);
    batched.set(shared.transaction_id!, COMMITTED);
  });

  const stops = {
    "a stop": async () => expect(await node.stop()).toBe(0),
    "a crash": () => node.crash(),
  };
  test.each(Object.keys(stops) as (keyof typeof stops)[])(
    "after %s every id still has its first outcome, and nothing is written",
    async (how) => {
      const { seq } = await node.client.ledger();
      await stops[how]();
      node = await CofferNode.start(data, { runtime });
      const cases = [...twice, ...atOnce];
      const alone = await Promise.all(cases.map((it) => it.send()));
      const many = await Promise.all(Array.from({ length: AT_ONCE }, () => cases[0]!.send()));
      for (const answer of [...alone, ...many]) {
        expect(isReplay(answer)).toBe(true);
        expect(outcomeOf(answer)).toEqual(first.get(answer.body.transaction_id)!);
      }
      expect((await node.client.ledger()).seq).toBe(seq);
    },
  );

  test("the log has one set of events for every id", async () => {
    expect(await node.stop()).toBe(0);
    const { lines } = replayIndependently(join(data, "events.log"));
    const events = new Map<string, string[]>();
    for (const { transaction_id, type } of lines)
      events.set(transaction_id, [...(events.get(transaction_id) ?? []), type]);
    for (const { id, name, events: expected } of [...twice, ...atOnce])
      expect([name, events.get(id)]).toEqual([name, [...expected]]);
    for (const [id, expected] of batched) expect([id, events.get(id)]).toEqual([id, [...expected]]);
    // Besides these: the ledger's opening, two accounts, and the id in capitals.
    expect(events.size).toBe(1 + 2 + 1 + twice.length + atOnce.length + batched.size);
  });
});
