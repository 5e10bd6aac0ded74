/**
 * SIGKILL of coffer, of its nats-server and of both, at random moments under load, on one ledger: after each,
 * everything acknowledged is there, once, and the digest is that of a replay. `make soak` plays more rounds.
 */

import { expect, test } from "bun:test";
import process from "node:process";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { expectWhole } from "../support/node-checks.ts";
import { Tellers } from "../support/tellers.ts";

const ROUNDS = Number(process.env.COFFER_CRASH_ROUNDS ?? 15);
const AT_ONCE = 16;
const MAX_ANSWERS_BEFORE = 150;
const VICTIMS = ["coffer", "nats-server", "both, coffer first", "both, nats-server first"] as const;

test(
  `${ROUNDS} crashes at random moments under load lose and double nothing`,
  async () => {
    const random = randomIntegers(SEED);
    const data = temporaryFolder();
    const tellers = new Tellers(random);
    let node = await CofferNode.start(data);
    for (let round = 0; round < ROUNDS; round++) {
      const enough = tellers.acknowledged + random(MAX_ANSWERS_BEFORE);
      const working = tellers.work(node.client, Number.MAX_SAFE_INTEGER, AT_ONCE);
      await eventually("more were answered", () => tellers.acknowledged >= enough);
      const victim = VICTIMS[random(VICTIMS.length)];
      const nats = await node.natsPid();
      if (victim !== "coffer" && victim !== "both, coffer first") process.kill(nats, "SIGKILL");
      if (victim !== "nats-server") await node.crash();
      // Its standard input is closed by now, so it may be gone before us.
      if (victim === "both, coffer first") killIfThere(nats);
      tellers.stop();
      await working;
      if (victim !== "nats-server") node = await CofferNode.start(data);
      await expectSettled(node, tellers);
    }
    expect(
      [...tellers.statuses.keys()].every((status) => [0, 200, 201, 422, 503, 504].includes(status)),
    ).toBe(true);
    await expectWhole(node, tellers);
  },
  60_000 + ROUNDS * 10_000,
);

/** Every request has a certain answer now; a node whose queue is just coming back may need some tries. */
async function expectSettled(node: CofferNode, tellers: Tellers): Promise<void> {
  for (let attempt = 0; tellers.unsettled > 0 && attempt < 200; attempt++) {
    await tellers.settle(node.client);
    if (tellers.unsettled > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(tellers.unsettled).toBe(0);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
