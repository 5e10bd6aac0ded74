/** Transfers and reads of many clients on one node, with crashes in between, are linearizable. */

import { describe, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { type LogLine, replayIndependently } from "../../tools/harness/independent-replay.ts";
import { type Asked, LedgerAudit, type Told } from "../../tools/harness/ledger-audit.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import type { WalletClient } from "../../tools/harness/wallet-client.ts";
import { type Operation, violations } from "./history.ts";

const CLIENTS = 24;
const OPERATIONS_OF_A_CLIENT = 60;
const PHASES = 4;
const ACCOUNTS = ["ann", "ben", "cat", "dan", "eve"];
const FUNDS = 500;

/** What was asked, and what came of it, where an answer says so. */
type Call = readonly [asked: Asked, call: { readonly told?: Told }];

test.each([1, 3])(
  `${PHASES} times ${CLIENTS} clients of %i gateways, with crashes in between, see one ledger`,
  async (gateways) => {
    const flags = ["--gateway-threads", String(gateways)];
    const random = randomIntegers(SEED);
    const data = temporaryFolder();
    const history: Operation[] = [];
    const calls: Call[] = [];
    let node = await CofferNode.start(data, { flags });
    for (const account of ACCOUNTS) {
      const { transaction_id: id, seq, balance } = (await node.client.open(account, FUNDS)).body;
      const asked = { id, kind: "open_account", from: "@world", to: account, amount: FUNDS } as const;
      calls.push([asked, { told: { rejected: false, replayed: false, seq, toBalance: balance } }]);
    }
    for (let phase = 0; phase < PHASES; phase++) {
      const before = history.length;
      const clients = Array.from({ length: CLIENTS }, () => client(node.client, random, history, calls));
      const enough = before + (CLIENTS * OPERATIONS_OF_A_CLIENT) / 2;
      await eventually("more were answered", () => history.length >= enough);
      if (phase < PHASES - 1) {
        await node.crash();
        await Promise.all(clients);
        node = await CofferNode.start(data, { flags });
      } else {
        await Promise.all(clients);
      }
    }
    expect(await node.stop()).toBe(0);
    expect(violations(history, balancesOf(join(data, "events.log")))).toEqual([]);
    const audit = new LedgerAudit(join(data, "events.log"));
    for (const [asked, { told }] of calls) {
      if (told) audit.told(asked, told);
      else audit.unanswered(asked);
    }
    expect(audit.problems()).toEqual([]);
    expect(history.filter(({ kind }) => kind === "write").length).toBeGreaterThan(100);
  },
);

describe("the checker finds", () => {
  const write: Operation = { kind: "write", startMs: 0, endMs: 10, seq: 5, account: "ann", balance: 7n };
  const balanceAt = (_: string, seq: number) => (seq >= 5 ? 7n : 9n);

  test("nothing in a read that overlaps a write, whichever it sees", () => {
    const early: Operation = { kind: "read", startMs: 5, endMs: 15, seq: 4, account: "ann", balance: 9n };
    const late: Operation = { ...early, seq: 5, balance: 7n };
    expect(violations([write, early], balanceAt)).toEqual([]);
    expect(violations([write, late], balanceAt)).toEqual([]);
  });

  test("a read that began after a write had ended, and does not see it", () => {
    const stale: Operation = { kind: "read", startMs: 11, endMs: 15, seq: 4, account: "ann", balance: 9n };
    expect(violations([write, stale], balanceAt)).toHaveLength(1);
  });

  test("a read that shows what never was", () => {
    const wrong: Operation = { kind: "read", startMs: 11, endMs: 15, seq: 5, account: "ann", balance: 8n };
    expect(violations([write, wrong], balanceAt)).toHaveLength(1);
  });

  test("a read that goes back behind an earlier one", () => {
    const first: Operation = { kind: "read", startMs: 1, endMs: 2, seq: 5, account: "ann", balance: 7n };
    const second: Operation = { kind: "read", startMs: 3, endMs: 4, seq: 4, account: "ann", balance: 9n };
    expect(violations([write, first, second], balanceAt)).toHaveLength(1);
  });
});

/** One caller after another request; what a crash leaves without an answer is not part of the history. */
async function client(
  wallet: WalletClient,
  random: (below: number) => number,
  history: Operation[],
  calls: Call[],
): Promise<void> {
  for (let left = OPERATIONS_OF_A_CLIENT; left > 0; left--) {
    const account = ACCOUNTS[random(ACCOUNTS.length)] as string;
    const startMs = performance.now();
    try {
      if (random(2) === 0) {
        const { status, body } = await wallet.get(`/v1/wallet/balance/${account}`);
        if (status !== 200) continue;
        history.push({
          kind: "read",
          startMs,
          endMs: performance.now(),
          seq: body.seq,
          account,
          balance: BigInt(body.balance),
        });
        continue;
      }
      const to = ACCOUNTS[
        (ACCOUNTS.indexOf(account) + 1 + random(ACCOUNTS.length - 1)) % ACCOUNTS.length
      ] as string;
      const asked: Asked = { id: randomUUID(), kind: "transfer", from: account, to, amount: 1 + random(40) };
      const call: { told?: Told } = {};
      calls.push([asked, call]);
      const { status, headers, body } = await wallet.transfer({
        transaction_id: asked.id,
        from_account: account,
        to_account: to,
        amount: asked.amount,
      });
      const endMs = performance.now();
      if (status !== 200 && status !== 422) continue;
      call.told = {
        rejected: status === 422,
        replayed: headers.get("idempotent-replayed") === "true",
        seq: body.seq,
        fromBalance: body.from_balance,
        toBalance: body.to_balance,
      };
      if (status === 422) continue;
      const balance = BigInt(body.from_balance);
      history.push({ kind: "write", startMs, endMs, seq: body.seq, account, balance });
    } catch {
      return; // the node crashed
    }
  }
}

/** Every balance after every event. */
function balancesOf(log: string): (account: string, seq: number) => bigint {
  const changes = new Map<string, { seq: number; balance: bigint }[]>();
  const change = (account: string, seq: number, amount: bigint) => {
    const list = changes.get(account) ?? [];
    list.push({ seq, balance: (list.at(-1)?.balance ?? 0n) + amount });
    changes.set(account, list);
  };
  // A command's lines take effect together, at its last one.
  replayIndependently(log, (lines: readonly LogLine[]) => {
    const { seq } = lines[lines.length - 1] as LogLine;
    for (const line of lines) {
      if (line.type === "AccountOpened") change(line.account, seq, BigInt(line.initial_balance));
      if (line.type === "MoneyDeducted") change(line.account, seq, -BigInt(line.amount));
      if (line.type === "MoneyCredited") change(line.account, seq, BigInt(line.amount));
    }
  });
  return (account, seq) => changes.get(account)?.findLast((at) => at.seq <= seq)?.balance ?? 0n;
}
