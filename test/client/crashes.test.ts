/** A client under load, while the node is killed and connections break: each id is executed exactly once. */

import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { Coffer, type Transfer, type TransferOutcome } from "../../clients/typescript/src/index.ts";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { LedgerAudit } from "../../tools/harness/ledger-audit.ts";
import { freePort } from "../../tools/harness/nats.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { FaultyGateway } from "./faulty-gateway.ts";

const ACCOUNTS = ["ann", "ben", "cat", "dan", "eve"];
const FUNDS = 3_000;
const CALLERS = 200;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Started {
  readonly node: CofferNode;
  readonly port: number;
  readonly data: string;
  /** The ids under which the accounts were opened. */
  readonly openings: ReadonlyMap<string, string>;
}

/** A node of its own on a port that it keeps, with open accounts. */
async function startNode(): Promise<Started> {
  const data = temporaryFolder();
  const port = await freePort();
  const node = await CofferNode.start(data, { flags: ["--port", String(port)] });
  cleanups.push(() => node.crash());
  const openings = new Map<string, string>();
  for (const account of ACCOUNTS)
    openings.set(account, (await node.client.open(account, FUNDS)).body.transaction_id);
  return { node, port, data, openings };
}

type Done = readonly [transfer: Transfer, outcome: TransferOutcome];

/** Many callers make `count` transfers through one client; `each` is told how many are done. */
async function pay(coffer: Coffer, count: number, each: (done: number) => void): Promise<Done[]> {
  const random = randomIntegers();
  const done: Done[] = [];
  let left = count;
  const caller = async () => {
    while (left-- > 0) {
      const from = random(ACCOUNTS.length);
      const to = (from + 1 + random(ACCOUNTS.length - 1)) % ACCOUNTS.length;
      const amount = 1 + random(1_000);
      const transfer = { from: ACCOUNTS[from] as string, to: ACCOUNTS[to] as string, amount };
      done.push([transfer, await coffer.transfer(transfer)]);
      each(done.length);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return done;
}

/**
 * What contradicts the log: each id must stand there once, with its content and outcome, and no other id; no
 * two calls may be told that theirs was the first.
 */
function contradictions({ data, openings }: Started, done: readonly Done[]): readonly string[] {
  const audit = new LedgerAudit(join(data, "events.log"));
  for (const [account, id] of openings)
    audit.told({ id, kind: "open_account", from: "@world", to: account, amount: FUNDS }, { rejected: false });
  for (const [{ from, to, amount }, outcome] of done) {
    const asked = { id: outcome.transactionId, kind: "transfer", from, to, amount: Number(amount) } as const;
    const rejected = outcome.status === "rejected";
    audit.told(asked, { rejected, replayed: rejected ? undefined : outcome.replayed });
  }
  return audit.problems();
}

test("a node that is killed and started again under load executes each id exactly once", async () => {
  const started = await startNode();
  const { node, port, data } = started;
  const coffer = new Coffer(node.url);
  let running = node;
  let restarted: Promise<void> = Promise.resolve();
  const restart = async () => {
    await running.crash();
    running = await CofferNode.start(data, { flags: ["--port", String(port)] });
    cleanups.push(() => running.crash());
  };
  const done = await pay(coffer, 8_000, (count) => {
    if (count === 1_000 || count === 4_000) restarted = restarted.then(restart);
  });
  await restarted;
  await coffer.close();
  expect(done).toHaveLength(8_000);
  expect(await running.stop()).toBe(0);
  expect(contradictions(started, done)).toEqual([]);
});

test("connections that are cut, and answers that are lost, change no outcome", async () => {
  const started = await startNode();
  const { node } = started;
  const gateway = new FaultyGateway(node.url);
  const proxy = await TcpProxy.start(gateway.port);
  cleanups.push(
    () => gateway.stop(),
    () => proxy.stop(),
  );
  let requests = 0;
  gateway.answering = async (_, forward) => {
    const number = ++requests;
    if (number % 4 === 1) {
      proxy.cut();
      return new Response(); // it reaches nobody, and the node never had the request
    }
    const answer = await forward();
    if (number % 4 === 2) proxy.cut(); // the node has decided
    return answer;
  };
  const coffer = new Coffer(`http://127.0.0.1:${proxy.port}`);
  const done = await pay(coffer, 2_000, () => {});
  await coffer.close();
  expect(requests).toBeGreaterThan(10);
  const committed = done.filter(([, outcome]) => outcome.status === "committed");
  expect(committed.every(([, outcome]) => outcome.status === "committed" && outcome.replayed === false)).toBe(
    true,
  );
  expect(await node.stop()).toBe(0);
  expect(contradictions(started, done)).toEqual([]);
});

test("a connection that falls silent is given up, and the transfer sent again on another", async () => {
  const { node } = await startNode();
  const proxy = await TcpProxy.start(Number(new URL(node.url).port));
  cleanups.push(() => proxy.stop());
  const coffer = new Coffer(`http://127.0.0.1:${proxy.port}`, { timeoutMs: 2_000 });
  await coffer.transfer({ from: "ann", to: "ben", amount: 1 });
  proxy.holdAnswers();
  const outcome = await coffer.transfer({ from: "ann", to: "ben", amount: 1 });
  expect(outcome).toMatchObject({ status: "committed", replayed: false });
  expect(await node.client.balance("ann")).toBe(FUNDS - 2);
});
