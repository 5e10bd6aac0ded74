/**
 * Snapshots in real files: what comes out is what went in, and whatever is wrong with them is found. Each row
 * about snapshots of the table of what is found at a start is here, or in test/e2e/snapshots.test.ts.
 */

import { expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Currency, WORLD } from "../../src/domain/names.ts";
import { countsOf, restore } from "../../src/engine/snapshot.ts";
import { SnapshotTaker } from "../../src/engine/snapshot-taker.ts";
import { WalletEngine } from "../../src/engine/wallet-engine.ts";
import { checkLines } from "../../src/eventlog/check-lines.ts";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { eventsEndingAt } from "../../src/eventlog/lookup.ts";
import { inspectLog } from "../../src/eventlog/recovery.ts";
import type { AppendFile } from "../../src/ports/append-file.ts";
import { newestSnapshot, SnapshotFiles, snapshotNames } from "../../src/snapshots/snapshot-files.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { deposit, id, openLedger, transfer } from "../support/ledger-specs.ts";
import { LogOnDisk, place, someCommands } from "../support/log-files.ts";
import { someLedger, stateOf } from "../support/snapshots.ts";

const draw = randomIntegers();
const always = () => true;

function openLog(data: string): AppendFile {
  return new DiskFolder(data, false).open("events.log", false) as AppendFile;
}

const passedOver = () => {
  const told: string[] = [];
  return { told, broken: (path: string, why: string) => void told.push(`${path}: ${why}`) };
};

test("a snapshot and the log's tail come to what the whole log comes to, and go on alike", async () => {
  for (let round = 0; round < 8; round++) {
    const { data, folder, log } = await someLedger(draw, 400, 20 + draw(100));
    expect(snapshotNames(folder)).toHaveLength(2);
    for (const count of [2, 1]) {
      const found = newestSnapshot(folder, () => {});
      if (!found) throw new Error("there is no snapshot");
      const engine = new WalletEngine([draw(1_000), draw(1_000)]);
      restore(engine, found);
      expect(countsOf(engine)).toEqual(found.state.counts);
      const start = { position: found.state.position, currency: "USD" as Currency };
      const read = ({ events }: { events: Parameters<WalletEngine["apply"]>[0] }) => engine.apply(events);
      const finding = await inspectLog(openLog(data), undefined, { command: read }, undefined, start);
      expect(finding).toMatchObject({ state: "whole", position: log.position });
      expect(stateOf(engine)).toEqual(stateOf(log.engine));
      for (const again of someCommands(200, draw).slice(1))
        expect(engine.execute(again)).toEqual(log.engine.execute(again));
      if (count === 2) folder.remove(found.name); // the one before serves as well
    }
  }
});

test("more transactions and accounts than are appended at a time", async () => {
  const engine = new WalletEngine();
  const apply = (command: Parameters<WalletEngine["execute"]>[0]) => {
    engine.apply(engine.execute(command));
  };
  apply(openLedger());
  for (let number = 1; number <= 70_000; number++)
    apply(deposit(`account-${number % 40_000}`, number, { id: id(number) }));
  apply(transfer("account-1", "account-2", 1, { id: id(1_000_000) }));
  const folder = new DiskFolder(temporaryFolder());
  const files = new SnapshotFiles(folder, undefined);
  const taker = new SnapshotTaker(engine, files, 1, always, () => {});
  const position = {
    seq: engine.ledger.seq,
    bytes: 5,
    sequence: 3,
    index: 0,
    crc: 7,
    at: 9,
    ledgerId: undefined,
  };
  await taker.finish(position);
  files.close();
  const again = new WalletEngine();
  const found = newestSnapshot(folder, () => {});
  if (!found) throw new Error("there is no snapshot");
  restore(again, found);
  expect(found.state.position).toEqual(position as never);
  expect(countsOf(again)).toEqual(countsOf(engine));
  expect(stateOf(again).balances).toEqual(stateOf(engine).balances);
  for (const number of [1, 32_768, 32_769, 65_536, 65_537, 70_000, 1_000_000])
    expect(again.ledger.transactions.find(id(number))).toEqual(
      engine.ledger.transactions.find(id(number)) as never,
    );
  expect(again.ledger.transactions.find(id(999))).toBeDefined();
  expect(again.ledger.transactions.find(id(80_000))).toBeUndefined();
  expect(again.ledger.balances.get(WORLD, "USD" as Currency)?.available).toBe(
    engine.ledger.balances.get(WORLD, "USD" as Currency)?.available as never,
  );
});

test("one that is broken is passed over: the one before counts, and what is new goes on behind that", async () => {
  const { folder, log } = await someLedger(draw, 300, 30);
  const [newest, before] = snapshotNames(folder) as [string, string];
  const bytes = readFileSync(folder.path(newest));
  for (const spoil of [
    () => writeFileSync(folder.path(newest), bytes.subarray(0, draw(bytes.length))),
    () => {
      const flipped = Buffer.from(bytes);
      const at = draw(bytes.length);
      flipped[at] = (flipped[at] as number) ^ (1 << draw(8));
      writeFileSync(folder.path(newest), flipped);
    },
    () => writeFileSync(folder.path(newest), ""),
    () =>
      writeFileSync(
        folder.path(newest),
        bytes.toString("latin1").replace('"snapshot":1', '"snapshot":2'),
        "latin1",
      ),
  ]) {
    spoil();
    const { told, broken } = passedOver();
    expect(newestSnapshot(folder, broken)?.name).toBe(before);
    expect(told).toEqual([expect.stringContaining(newest)]);
  }
  const found = newestSnapshot(folder, () => {});
  const files = new SnapshotFiles(folder, found);
  expect(files.kept).toEqual(found?.state.counts as never);
  expect(snapshotNames(folder)).toEqual([before]);
  const taker = new SnapshotTaker(log.engine, files, 1, always, () => {});
  await taker.finish(log.position);
  files.close();
  const again = new WalletEngine();
  const last = newestSnapshot(folder, () => {});
  restore(again, last as never);
  expect(stateOf(again)).toEqual(stateOf(log.engine));
});

test("every flipped bit and every cut of what snapshots count is found; what stands behind it counts for nothing", async () => {
  const { folder } = await someLedger(draw, 120, 40);
  const [name, ...before] = snapshotNames(folder) as [string];
  for (const older of before) folder.remove(older);
  for (const file of ["accounts", "balances", "transactions"]) {
    const path = folder.path(file);
    const bytes = readFileSync(path);
    for (let round = 0; round < 100; round++) {
      const flipped = Buffer.from(bytes);
      const at = draw(bytes.length);
      flipped[at] = (flipped[at] as number) ^ (1 << draw(8));
      writeFileSync(path, flipped);
      expect(newestSnapshot(folder, () => {})).toBeUndefined();
      writeFileSync(path, bytes.subarray(0, at));
      expect(newestSnapshot(folder, () => {})).toBeUndefined();
    }
    rmSync(path);
    const { told, broken } = passedOver();
    expect(newestSnapshot(folder, broken)).toBeUndefined();
    expect(told.join()).toContain("does not exist");
    writeFileSync(path, bytes);
    appendFileSync(path, "the beginning of something that was never finished");
    expect(newestSnapshot(folder, () => {})?.name).toBe(name);
  }
});

test("without a whole one everything begins anew", async () => {
  const { folder, log } = await someLedger(draw, 120, 50);
  truncateSync(folder.path("accounts"), 3);
  expect(newestSnapshot(folder, () => {})).toBeUndefined();
  const files = new SnapshotFiles(folder, undefined);
  expect(readdirSync(folder.path("")).sort()).toEqual(["accounts", "balances", "transactions"]);
  expect(readFileSync(folder.path("transactions"))).toHaveLength(0);
  const taker = new SnapshotTaker(log.engine, files, 1, always, () => {});
  await taker.finish(log.position);
  files.close();
  expect(newestSnapshot(folder, () => {})?.state.position).toEqual(log.position);
});

test("a log that is shorter than a snapshot, or another one there, is refused", async () => {
  const { data, folder, log } = await someLedger(draw, 200, 20);
  const { position } = newestSnapshot(folder, () => {})?.state ?? { position: log.position };
  const path = join(data, "events.log");
  const bytes = readFileSync(path);
  const start = { position, currency: "USD" as Currency };
  const inspect = () => inspectLog(openLog(data), undefined, { command: () => {} }, undefined, start);
  expect((await inspect()).state).not.toBe("damaged");
  for (const length of [0, draw(position.bytes), position.bytes - 1]) {
    writeFileSync(path, bytes.subarray(0, length));
    expect(await inspect()).toMatchObject({
      state: "damaged",
      break: {
        expected: expect.stringContaining("as recorded in a snapshot: acknowledged commands are missing"),
      },
    });
  }
  const other = Buffer.from(bytes);
  other.write("00000000", position.bytes - '00000000"}\n'.length, "latin1");
  writeFileSync(path, other);
  expect(await inspect()).toMatchObject({ state: "damaged", break: { line: position.seq } });
  expect(await inspectLog(undefined, undefined, { command: () => {} }, undefined, start)).toMatchObject({
    state: "damaged",
  });
});

test("the lines before a snapshot are checked: every seq and crc", async () => {
  const { data, log } = await someLedger(draw, 150, 30);
  const path = join(data, "events.log");
  const bytes = readFileSync(path);
  const end = log.position;
  const check = () => checkLines(openLog(data), path, end);
  expect(await check()).toBeUndefined();
  appendFileSync(path, "what comes behind is not looked at");
  expect(await check()).toBeUndefined();
  for (let round = 0; round < 200; round++) {
    const flipped = Buffer.from(bytes);
    const at = draw(bytes.length);
    flipped[at] = (flipped[at] as number) ^ (1 << draw(8));
    writeFileSync(path, flipped);
    expect(await check()).toContain(path);
  }
  writeFileSync(path, bytes.toString("latin1").replace('"format":1', '"format":3'));
  expect(await check()).toContain("expected format 1");
});

test("the last command is found without reading the log", async () => {
  const { data, log } = await someLedger(draw, 60, 30);
  const { position } = log;
  const events = eventsEndingAt(openLog(data), position, "USD" as Currency);
  expect(events.length).toBeGreaterThan(0);
  expect(events).toEqual(log.events.slice(-events.length));
  expect(() =>
    eventsEndingAt(openLog(data), { ...position, crc: position.crc ^ 1 }, "USD" as Currency),
  ).toThrow();
});

test("one that cannot be written harms nothing: no more are taken", async () => {
  const data = temporaryFolder();
  const folder = new DiskFolder(join(data, "snapshots"));
  mkdirSync(folder.path(""));
  const log = await LogOnDisk.open(data);
  const failures: unknown[] = [];
  const files = new SnapshotFiles(folder, undefined);
  const taker = new SnapshotTaker(log.engine, files, 10, always, (error) => failures.push(error));
  rmSync(folder.path(""), { recursive: true });
  for (const placed of place(someCommands(100, draw))) log.decide(placed);
  await log.writer.commit();
  await taker.finish(log.position);
  expect(failures[0]).toMatchObject({ code: "ENOENT" });
  expect(taker.take(log.position, true)).toBeUndefined();
  await log.close();
});

test("a state that is not where the log is cannot be taken", async () => {
  const { log } = await someLedger(draw, 60, 30);
  const folder = new DiskFolder(temporaryFolder());
  const files = new SnapshotFiles(folder, undefined);
  const taker = new SnapshotTaker(log.engine, files, 1, always, () => {});
  const behind = { ...log.position, seq: log.position.seq - 1 };
  await taker.finish(behind); // as where the last commit has failed
  expect(snapshotNames(folder)).toEqual([]);
  expect(() => taker.take(behind)).toThrow();
  files.close();
});

test("without room nothing is written, and what was written for nothing is given back", async () => {
  const { folder, log } = await someLedger(draw, 200, 50);
  const found = newestSnapshot(folder, () => {});
  const files = new SnapshotFiles(folder, found);
  const contents = () =>
    Object.fromEntries(readdirSync(folder.path("")).map((name) => [name, readFileSync(folder.path(name))]));
  const before = contents();
  const none = new SnapshotTaker(
    log.engine,
    files,
    1,
    () => false,
    () => {},
  );
  await none.finish(log.position);
  const growth = { to: { accounts: 9, balances: 9, transactions: 9 }, accounts: "x\n", balances: "y\n" };
  await files.append({ ...growth, transactions: new Int32Array(11) });
  writeFileSync(folder.path("unfinished"), "something");
  files.discard();
  expect(files.kept).toEqual(found?.state.counts as never);
  expect(contents()).toEqual(before);
  files.close();
});
