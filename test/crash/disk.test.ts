/** Disks that end, or that cannot be written: a real file system, too small for its ledger. */

import { expect, test } from "bun:test";
import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { CofferNode } from "../../tools/harness/coffer.ts";
import { contentsOf, temporaryFolder } from "../../tools/harness/folders.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { expectWhole } from "../support/node-checks.ts";
import { SmallDisk } from "../support/small-disk.ts";
import { Tellers } from "../support/tellers.ts";

const CUTS = 12;
/** As `make soak` has it. */
const EVERY_BYTE = process.env.COFFER_CUT_EVERY_BYTE === "1";

test("a disk that is full stops the node; with more room, everything acknowledged is there, once", async () => {
  const disk = await SmallDisk.mount("192k");
  const nats = await NatsServer.start(temporaryFolder());
  const flags = ["--nats-url", nats.url];
  const tellers = new Tellers(randomIntegers(SEED));
  const node = await CofferNode.start(disk.folder, { flags });
  const working = tellers.work(node.client, Number.MAX_SAFE_INTEGER, 16);
  expect(await node.process.exited).toBe(1);
  tellers.stop();
  await working;
  expect(node.process.stderr.join("\n")).toContain("ENOSPC");
  expect(tellers.acknowledged).toBeGreaterThan(0);

  await disk.remount("size=16m");
  const again = await CofferNode.start(disk.folder, { flags });
  await tellers.work(again.client, 100, 16);
  await expectWhole(again, tellers);
  await nats.stop();
});

test("a folder that cannot be written is refused with a clear message, and nothing is changed", async () => {
  const disk = await SmallDisk.mount("64m");
  const node = await CofferNode.start(disk.folder);
  await node.client.open("alice", 100);
  expect(await node.stop()).toBe(0);
  const before = contentsOf(disk.folder);
  await disk.remount("ro");
  const refused = CofferNode.launch(disk.folder, {});
  expect(await refused.process.exited).toBe(1);
  expect(refused.process.stderr.join("\n")).toMatch(/EROFS|[Rr]ead-only/);
  expect(contentsOf(disk.folder)).toEqual(before);
});

test(
  `a log that was cut at ${EVERY_BYTE ? "every" : "some"} byte of its last three commands comes back to the same bytes`,
  async () => {
    const random = randomIntegers(SEED + 2);
    const data = temporaryFolder();
    const log = join(data, "events.log");
    let node = await CofferNode.start(data);
    await node.client.open("alice", 1_000);
    for (let number = 0; number < 4; number++) {
      await node.client.transfer({ from_account: "alice", to_account: `shop-${number}`, amount: 1 + number });
    }
    for (let cut = 1, more = true; more; cut++) {
      // The first one moves the mark; those behind it are what a crash may take.
      for (let number = 0; number < 4; number++) {
        await node.client.transfer({ from_account: "alice", to_account: "bob", amount: 1 + number });
      }
      const balances = await node.client.ledger();
      await node.crash();
      const whole = readFileSync(log);
      const ends = commandEnds(whole);
      const from = Math.max(ends[ends.length - 4] as number, markedBytes(data));
      truncateSync(log, EVERY_BYTE ? whole.length - cut : from + random(whole.length - from));
      more = EVERY_BYTE ? whole.length - cut > from : cut < CUTS;
      node = await CofferNode.start(data);
      expect(readFileSync(log, "latin1")).toBe(whole.toString("latin1"));
      expect(await node.client.ledger()).toEqual(balances);
    }
    expect(await node.stop()).toBe(0);
  },
  30 * 60_000,
);

/** Up to where the log is known to be on disk. */
function markedBytes(data: string): number {
  const mark = readFileSync(join(data, "events.mark"), "latin1");
  return Math.max(...[...mark.matchAll(/"bytes":([0-9]+)/g)].map((match) => Number(match[1])));
}

/** The offsets at which commands end. */
function commandEnds(log: Buffer): number[] {
  const text = log.toString("latin1");
  return [...text.matchAll(/"crc":"[0-9a-f]{8}"\}\n/g)].map((match) => match.index + match[0].length);
}
