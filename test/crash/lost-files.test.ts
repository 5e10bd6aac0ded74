/** Files of a running node that something else deletes, moves, replaces or cuts. */

import { expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { LogMark } from "../../src/eventlog/mark.ts";
import { CofferNode, coffer, RUNTIME_NAMES, type RuntimeName, replay } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { expectWhole } from "../support/node-checks.ts";
import { SmallDisk } from "../support/small-disk.ts";
import { Tellers } from "../support/tellers.ts";

const TRANSFERS = 40;
const LOG = "events.log";

/** Does it to the data folder, and returns what makes a start possible again. */
type Way = (data: string) => Promise<() => void> | (() => void);

const restoreRescued = (data: string) => () => {
  const names = rescuedIn(data);
  expect(names).toHaveLength(1);
  renameSync(join(data, names[0] as string), join(data, LOG));
};

/** The log's bytes are in the open file alone: they are copied. */
const TAKEN: Readonly<Record<string, Way>> = {
  deleted(data) {
    rmSync(join(data, LOG));
    return restoreRescued(data);
  },
  moved(data) {
    renameSync(join(data, LOG), join(data, "events.old"));
    return restoreRescued(data);
  },
  async "replaced by sed -i"(data) {
    const sed = new TestProcess("sed", ["-i", "s/teller-1/teller-2/", join(data, LOG)]);
    expect(await sed.exited).toBe(0);
    return restoreRescued(data);
  },
  "moved with its folder"(data) {
    renameSync(data, `${data}.moved`);
    return () => {
      expect(rescuedIn(data)).toHaveLength(1);
      rmSync(data, { recursive: true });
      renameSync(`${data}.moved`, data);
    };
  },
  "deleted with its folder"(data) {
    rmSync(data, { recursive: true });
    return restoreRescued(data);
  },
  "moved with its folder, and another folder is in its place"(data) {
    renameSync(data, `${data}.moved`);
    mkdirSync(data);
    return () => {
      expect(rescuedIn(data)).toHaveLength(1);
      rmSync(data, { recursive: true });
      renameSync(`${data}.moved`, data);
    };
  },
};

/** The open file has lost them too. */
const CUT: Readonly<Record<string, Way>> = {
  "copied and cut, as logrotate's copytruncate does it"(data) {
    copyFileSync(join(data, LOG), join(data, "events.log.1"));
    truncateSync(join(data, LOG));
    return () => renameSync(join(data, "events.log.1"), join(data, LOG));
  },
  "cut in the middle"(data) {
    const log = join(data, LOG);
    copyFileSync(log, join(data, "copy"));
    truncateSync(log, Math.floor(statSync(log).size / 2));
    return () => renameSync(join(data, "copy"), log);
  },
};

/** Nothing of the log is lost: the next start goes on. */
const OTHERS: Readonly<Record<string, readonly [event: string, way: Way]>> = {
  "the mark is deleted": ["mark_file_lost", (data) => remove(data, "events.mark")],
  "the mark is replaced": ["mark_file_lost", (data) => replace(data, "events.mark")],
  "the mark is cut": [
    "mark_file_lost",
    (data) => {
      truncateSync(join(data, "events.mark"), 10);
      return () => {};
    },
  ],
  "the lock is deleted": ["lock_file_lost", (data) => remove(data, "lock")],
  "the lock is replaced": ["lock_file_lost", (data) => replace(data, "lock")],
};

function remove(data: string, name: string) {
  rmSync(join(data, name));
  return () => {};
}

function replace(data: string, name: string) {
  copyFileSync(join(data, name), join(data, "new"));
  renameSync(join(data, "new"), join(data, name));
  return () => {};
}

function rescuedIn(data: string): string[] {
  return existsSync(data) ? readdirSync(data).filter((name) => name.startsWith("events.log.rescued-")) : [];
}

/** The facts of the line with this event; throws if the node has not written it. */
function lineOf(node: CofferNode, event: string): Record<string, unknown> {
  const line = node.process.stderr.find((text) => text.includes(`"event":"${event}"`));
  if (line === undefined) throw new Error(`no ${event} in:\n${node.process.stderr.join("\n")}`);
  return JSON.parse(line);
}

async function expectRefused(data: string, reason: RegExp): Promise<void> {
  const refused = CofferNode.launch(data);
  expect(await refused.process.exited).toBe(1);
  expect(refused.process.stderr.join("\n")).toMatch(reason);
}

/** A node in a folder that may be moved, and callers who know every answer. */
async function start(runtime: RuntimeName = "the compiled executable") {
  const data = join(temporaryFolder(), "data");
  const node = await CofferNode.start(data, { runtime });
  const tellers = new Tellers(randomIntegers(SEED));
  await tellers.work(node.client, TRANSFERS, 4);
  return { data, node, tellers };
}

/** The node takes commands, and everything that was acknowledged is there. */
async function expectAll(data: string, tellers: Tellers): Promise<void> {
  const again = await CofferNode.start(data);
  await tellers.work(again.client, TRANSFERS, 4);
  await expectWhole(again, tellers);
}

test("an idle node whose log is taken away copies it and stops; with the copy in its place all is there", async () => {
  await Promise.all(
    Object.values(TAKEN).map(async (way) => {
      const { data, node, tellers } = await start();
      const restore = await way(data);
      expect(await node.process.exited).toBe(1);
      const { rescued, seq } = lineOf(node, "log_file_lost");
      expect(rescued).toBe(join(data, `events.log.rescued-${seq}`));
      await expectRefused(data, new RegExp(`rescued-${seq}`));
      restore();
      await expectAll(data, tellers);
    }),
  );
});

test("so does one under load, which acknowledges nothing that is not in the copy or on the queue", async () => {
  for (const name of ["deleted", "replaced by sed -i"]) {
    const { data, node, tellers } = await start();
    const working = tellers.work(node.client, Number.MAX_SAFE_INTEGER, 16);
    const restore = await (TAKEN[name] as Way)(data);
    expect(await node.process.exited).toBe(1);
    tellers.stop();
    await working;
    expect(lineOf(node, "log_file_lost")).toMatchObject({ seq: expect.any(Number) });
    restore();
    await expectAll(data, tellers);
  }
});

test("so does one that is told to stop before it has seen it, under every runtime", async () => {
  await Promise.all(
    RUNTIME_NAMES.map(async (runtime) => {
      const { data, node, tellers } = await start(runtime);
      rmSync(join(data, LOG));
      expect(await node.stop()).toBe(1);
      restoreRescued(data)();
      await expectAll(data, tellers);
    }),
  );
});

test("a node whose log is cut says that the bytes are gone and stops; the next start refuses until they are back", async () => {
  await Promise.all(
    Object.values(CUT).map(async (way) => {
      const { data, node, tellers } = await start();
      await eventually(
        "the mark is at the log's end",
        () => markedBytes(data) === statSync(join(data, LOG)).size,
      );
      const restore = await way(data);
      expect(await node.process.exited).toBe(1);
      expect(lineOf(node, "log_file_lost").error).toMatch(/was truncated .* backup, a replica .* queue/);
      expect(rescuedIn(data)).toEqual([]);
      await expectRefused(data, /the log is damaged; nothing was changed/);
      restore();
      await expectAll(data, tellers);
    }),
  );
});

test("a log that is cut under load never grows again over the hole: its copy and the queue have all that was acknowledged", async () => {
  const { data, node, tellers } = await start();
  const working = tellers.work(node.client, Number.MAX_SAFE_INTEGER, 16);
  const enough = tellers.acknowledged + 500;
  await eventually("there is load", () => tellers.acknowledged > enough);
  const restore = await (CUT["copied and cut, as logrotate's copytruncate does it"] as Way)(data);
  expect(await node.process.exited).toBe(1);
  tellers.stop();
  await working;
  expect(lineOf(node, "log_file_lost").error).toMatch(/was truncated/);
  restore();
  await expectAll(data, tellers);
});

test("a node that answers nothing but repeats sees it too", async () => {
  const { data, node } = await start();
  const repeat = { transaction_id: "0190b5c0-0000-7000-8000-000000000001" };
  expect((await node.client.deposit("alice", 1, repeat)).status).toBe(200);
  let running = true;
  const repeating = (async () => {
    while (running) await node.client.deposit("alice", 1, repeat).catch(() => {});
  })();
  rmSync(join(data, LOG));
  expect(await node.process.exited).toBe(1);
  running = false;
  await repeating;
  expect(rescuedIn(data)).toHaveLength(1);
});

test("a node whose mark or lock is taken away stops, and the next start goes on", async () => {
  await Promise.all(
    Object.values(OTHERS).map(async ([event, way]) => {
      const { data, node, tellers } = await start();
      await way(data);
      expect(await node.process.exited).toBe(1);
      expect(lineOf(node, event).error).toContain("while the node was running");
      expect(rescuedIn(data)).toEqual([]);
      await expectAll(data, tellers);
    }),
  );
});

test("without room for the copy a node stays up, not ready, and names the open file; it copies and stops when there is room", async () => {
  const disk = await SmallDisk.mount("4m");
  const nats = await NatsServer.start(temporaryFolder());
  const node = await CofferNode.start(disk.folder, { flags: ["--nats-url", nats.url] });
  const log = join(disk.folder, LOG);
  const transfers = Array.from({ length: 2_000 }, (_, number) => ({
    from_account: "alice",
    to_account: `shop-${number}`,
    amount: 1,
  }));
  await node.client.deposit("alice", 2_000);
  expect((await node.client.transfers(transfers)).body.committed).toBe(2_000);
  const ledger = await node.client.ledger();
  const { bavail, bsize } = statfsSync(disk.folder);
  writeFileSync(join(disk.folder, "filler"), Buffer.alloc(bavail * bsize - 100_000));
  const bytes = readFileSync(log);
  rmSync(log);

  await node.process.line(/"event":"log_file_lost"/);
  const { descriptor, reason } = lineOf(node, "log_file_lost");
  expect(descriptor).toMatch(new RegExp(`^/proc/${node.process.pid}/fd/[0-9]+$`));
  expect(reason).toContain("ENOSPC");
  expect(readFileSync(descriptor as string).equals(bytes)).toBe(true);
  expect(rescuedIn(disk.folder)).toEqual([]);
  expect(await node.client.get("/health/ready")).toMatchObject({
    status: 503,
    body: { code: "not_ready", detail: "a file of the ledger was lost" },
  });
  expect(await node.client.deposit("alice", 1)).toMatchObject({
    status: 503,
    body: { code: "queue_unavailable" },
  });
  expect(await node.client.ledger()).toEqual(ledger);

  rmSync(join(disk.folder, "filler"));
  expect(await node.process.exited).toBe(1);
  const [name] = rescuedIn(disk.folder);
  expect(readFileSync(join(disk.folder, name as string)).equals(bytes)).toBe(true);
  renameSync(join(disk.folder, name as string), log);
  const again = await CofferNode.start(disk.folder, { flags: ["--nats-url", nats.url] });
  expect(await again.client.ledger()).toEqual(ledger);
  expect(await again.stop()).toBe(0);
  await nats.stop();
});

test("a rescued copy is a log that coffer verify and coffer replay read in another folder", async () => {
  const { data, node } = await start();
  const { seq } = await node.client.ledger();
  rmSync(join(data, LOG));
  expect(await node.process.exited).toBe(1);
  const elsewhere = temporaryFolder();
  copyFileSync(join(data, `events.log.rescued-${seq}`), join(elsewhere, LOG));
  expect(await coffer(["verify", "--data", elsewhere])).toMatchObject({ code: 0 });
  expect((await replay(elsewhere)).events).toBe(seq);
});

/** Up to where the log is known to be on disk. */
function markedBytes(data: string): number {
  return LogMark.read(new DiskFolder(data, false))?.bytes ?? 0;
}
