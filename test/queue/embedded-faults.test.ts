/**
 * What may happen to the store of the nats-server that a node carries, under a running node and while it is
 * down: the node goes on, and the ledger is whole.
 */

import { describe, expect, test } from "bun:test";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { isRunning } from "../../tools/harness/processes.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { expectWhole } from "../support/node-checks.ts";
import { Tellers } from "../support/tellers.ts";

const AT_ONCE = 16;
const TIMES = 2;

const storeOf = (data: string) => join(data, "nats", "jetstream");

/** Kills the node's nats-server, and does `spoil` before the node can start another. */
async function withoutServer(node: CofferNode, spoil: () => void): Promise<void> {
  const pid = await node.natsPid();
  node.process.kill("SIGSTOP");
  process.kill(pid, "SIGKILL");
  spoil();
  const opened = opensOf(node);
  node.process.kill("SIGCONT");
  await eventually("the queue is open again", () => opensOf(node) > opened);
}

/** How often the node has opened its queue. */
function opensOf(node: CofferNode): number {
  return node.process.stderr.filter((line) => line.includes('"queue_open"')).length;
}

/** The numbers with which the node has made its stream anew. */
function remakesOf(node: CofferNode): number[] {
  const lines = node.process.stderr.filter((line) => line.includes('"stream_recreated"'));
  return lines.map((line) => (JSON.parse(line) as { next: number }).next);
}

/** The stream's number of the log's last command. */
function lastSequence(data: string): number {
  const { lines } = replayIndependently(join(data, "events.log"));
  return Number(lines.at(-1).command.split(".")[0]);
}

async function copyOfStore(node: CofferNode): Promise<string> {
  const copy = temporaryFolder();
  await withoutServer(node, () => cpSync(storeOf(node.data), copy, { recursive: true }));
  return copy;
}

function putStore(data: string, copy: string): void {
  rmSync(storeOf(data), { recursive: true, force: true });
  cpSync(copy, storeOf(data), { recursive: true });
}

const FAULTS = [
  { name: "is killed", lost: false, spoil: () => {} },
  {
    name: "is killed and its store is emptied",
    lost: true,
    spoil: (data: string) => rmSync(storeOf(data), { recursive: true }),
  },
  { name: "is killed and its store is cut back to an older one", lost: true, spoil: putStore },
  { name: "is killed and its store is replaced by another ledger's", lost: true, spoil: putStore },
];

/** The store of another ledger, that has got further than any here. */
async function anothersStore(): Promise<string> {
  const node = await CofferNode.start(temporaryFolder());
  await new Tellers(randomIntegers(SEED)).work(node.client, 300, 2);
  const copy = await copyOfStore(node);
  expect(await node.stop()).toBe(0);
  return copy;
}

describe("the nats-server that a node carries", () => {
  test.concurrent.each(FAULTS)(
    "$name under load, and while the node is down: the ledger is whole",
    async ({ name, lost, spoil }) => {
      const draw = randomIntegers(SEED + name.length);
      const tellers = new Tellers(draw);
      let node = await CofferNode.start(temporaryFolder());
      const { data } = node;
      await tellers.work(node.client, 50, AT_ONCE);
      const older = name.includes("another") ? await anothersStore() : await copyOfStore(node);

      const goneBy = async (count: number) => {
        const enough = tellers.acknowledged + count;
        await eventually(`${count} more were answered`, () => tellers.acknowledged >= enough);
      };
      let working = tellers.work(node.client, 1_000_000, AT_ONCE);
      for (let time = 1; time <= TIMES; time++) {
        await goneBy(50 + draw(100));
        let reached = 0;
        await withoutServer(node, () => {
          reached = lastSequence(data);
          spoil(data, older);
        });
        await goneBy(10);
        if (!lost) continue;
        expect(remakesOf(node).length).toBe(time);
        expect(remakesOf(node).at(-1)).toBeGreaterThan(reached);
      }
      const server = await node.natsPid();
      await node.crash();
      tellers.stop();
      await working;
      await eventually("its nats-server has ended", () => !isRunning(server));

      const last = lastSequence(data);
      spoil(data, older);
      node = await CofferNode.start(data);
      expect(remakesOf(node)).toEqual(lost ? [last + 1] : []);
      working = tellers.work(node.client, 1_000_000, AT_ONCE);
      await goneBy(100);
      tellers.stop();
      await working;
      await expectWhole(node, tellers);
    },
  );
});
