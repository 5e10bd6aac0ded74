/** Who is answered what, and when: nobody before everything that was executed before is on disk. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "../../src/domain/commands/commands.ts";
import { EngineLoop } from "../../src/engine/engine-loop.ts";
import type { CommittedBatch, FrameOutcome } from "../../src/ports/changes.ts";
import type { QueueMessage } from "../../src/ports/command-queue.ts";
import { UnknownCommand } from "../../src/wire/frame.ts";
import { FrameOrigins } from "../../src/wire/frame-origins.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { foreign, frame, json } from "../support/command-streams.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { deposit, id, openAccount, openLedger, transfer } from "../support/ledger-specs.ts";
import { FIRST_AT, LogOnDisk } from "../support/log-files.ts";
import { quiet } from "../support/manual-clock.ts";
import { ManualSource } from "../support/manual-source.ts";

const LOG = "events.log";
const PAID = transfer("alice", "bob", 20, { id: id(1) });

/** An engine on a real log, whose messages and disk are in the test's hands. */
async function start(folder = temporaryFolder()) {
  const disk = new FaultyDisk(folder);
  const log = await LogOnDisk.open(folder, disk);
  const source = new ManualSource<QueueMessage>(log.clock);
  const batches: CommittedBatch[] = [];
  const malformed: { sequence: number; why: string }[] = [];
  const origins = new FrameOrigins();
  for (const byte of [7, 9]) origins.add(new Uint8Array(16).fill(byte));
  const loop = new EngineLoop(
    {
      engine: log.engine,
      messages: source,
      log: log.writer,
      clock: log.clock,
      gatewayOf: (message) => origins.gatewayOf(message),
      committed: (batch) => batches.push(batch),
      malformed: ({ sequence }, why) => malformed.push({ sequence, why }),
    },
    { batchBytes: 1 << 20, maxReadTimeoutMs: 1_000 },
  );
  let sequence = Math.max(log.position.sequence, 0);
  let at = FIRST_AT;
  const engine = {
    folder,
    disk,
    log,
    loop,
    batches,
    malformed,
    running: loop.run(),
    /** What gateways were told, in order. */
    outcomes: () => batches.flatMap(({ outcomes }) => outcomes),
    lines: () => readFileSync(join(folder, LOG), "latin1").trimEnd().split("\n"),
    async send(...messages: readonly (Uint8Array | { data: Uint8Array; at: number; sequence?: number })[]) {
      for (const message of messages) {
        const given = "data" in message ? message : { data: message, at: ++at };
        source.put({ sequence: ++sequence, ...given });
      }
      await quiet();
      return sequence;
    },
    async stop() {
      loop.stop();
      source.wake();
      await engine.running;
      await log.close();
    },
  };
  engine.running.catch(() => {});
  return engine;
}

/** An engine whose ledger is open, with 100 for alice, and that has answered everything. */
async function startOpen() {
  const engine = await start();
  const sequence = await engine.send(frame([openLedger(), openAccount("alice", 100, { id: id(1_000) })], 1));
  await engine.loop.settled(sequence);
  engine.batches.length = 0;
  return engine;
}

/** Holds up every sync of the log until it is opened. */
function holdLog(disk: FaultyDisk): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.slow = (name) => (name === LOG ? promise : Promise.resolve());
  return resolve;
}

function told(outcomes: readonly FrameOutcome[]): string[] {
  return outcomes.map(({ number, outcomes: of }) =>
    [number, ...of.map((outcome) => ("reason" in outcome && outcome.reason) || outcome.status)].join(" "),
  );
}

describe("an answer", () => {
  test("comes when its events are on disk, and not before", async () => {
    const { disk, send, loop, outcomes, log, stop } = await startOpen();
    const release = holdLog(disk);
    const sequence = await send(frame([PAID], 5));
    expect(log.engine.ledger.seq).toBe(4);
    expect(outcomes()).toEqual([]);
    release();
    expect(await loop.settled(sequence)).toMatchObject({ seq: 4 });
    expect(outcomes()).toEqual([
      {
        gateway: 1,
        number: 5,
        outcomes: [{ status: "committed", seq: 4, replayed: false, from_balance: 80, to_balance: 20 }],
      },
    ] as never);
    await stop();
  });

  test.each<[string, Command, string]>([
    ["a repeat", PAID, "6 committed"],
    ["an id conflict", transfer("alice", "bob", 21, { id: id(1) }), "6 transaction_id_conflict"],
    ["an account that exists", openAccount("alice", 1), "6 account_exists"],
    ["a later opening of the ledger", openLedger(), "6 ledger_already_open"],
  ])("that writes nothing waits for everything before it: %s", async (_, command, outcome) => {
    const { disk, send, loop, outcomes, stop } = await startOpen();
    const release = holdLog(disk);
    await send(frame([PAID], 5));
    const sequence = await send(frame([command], 6));
    expect(outcomes()).toEqual([]);
    release();
    await loop.settled(sequence);
    expect(told(outcomes())).toEqual(["5 committed", outcome]);
    await stop();
  });

  test("is there for every command of a frame, in their order, and each frame has one", async () => {
    const { send, loop, outcomes, stop } = await startOpen();
    const sequence = await send(
      frame([PAID, transfer("alice", "bob", 500), PAID, deposit("carol", 1)], 5),
      frame([transfer("bob", "alice", 21), openAccount("dave", 3)], 6, 9),
    );
    await loop.settled(sequence);
    expect(told(outcomes())).toEqual([
      "5 committed insufficient_funds committed committed",
      "6 insufficient_funds opened",
    ]);
    expect(outcomes().map(({ gateway }) => gateway)).toEqual([1, 2]);
    await stop();
  });

  test("to a frame of another node's gateway is not for this one, which decides and counts it", async () => {
    const { send, loop, outcomes, lines, batches, stop } = await startOpen();
    const before = lines().length;
    const sequence = await send(frame([PAID, transfer("alice", "bob", 500)], 5, 8));
    await loop.settled(sequence);
    expect([outcomes(), lines().length - before]).toEqual([[], 3]);
    expect(batches.flatMap(({ changes }) => changes)).toHaveLength(2);
    expect(loop.counters).toMatchObject({ committed: 1, rejected: new Map([["insufficient_funds", 1]]) });
    await stop();
  });
});

describe("while the disk works", () => {
  test("the next batch is executed, and all that came meanwhile is one batch with one sync", async () => {
    const { disk, send, loop, log, batches, stop } = await startOpen();
    const release = holdLog(disk);
    await send(frame([PAID], 5));
    await send(frame([deposit("bob", 1)], 6));
    // The second batch is decided; the third waits for the first to be on disk.
    expect(log.engine.ledger.seq).toBe(6);
    await send(frame([deposit("bob", 1)], 7));
    const sequence = await send(frame([deposit("bob", 1)], 8));
    disk.operations.length = 0;
    release();
    await loop.settled(sequence);
    expect(batches.map(({ changes, position }) => [changes.length, position.seq])).toEqual([
      [1, 4],
      [1, 6],
      [2, 10],
    ]);
    expect(disk.of("sync", LOG)).toHaveLength(2);
    await stop();
  });

  test("nothing that was executed after a batch is on disk before it", async () => {
    const { disk, send, loop, lines, stop } = await startOpen();
    const release = holdLog(disk);
    await send(frame([PAID], 5));
    const sequence = await send(frame([deposit("bob", 1)], 6));
    expect(lines()).toHaveLength(4);
    release();
    await loop.settled(sequence);
    expect(lines()).toHaveLength(6);
    await stop();
  });
});

describe("the disk fails", () => {
  const broken = new Error("EIO: i/o error");

  test.each(["write", "sync"] as const)(
    "at a %s: the engine stops at once, and answers nobody",
    async (what) => {
      const { disk, send, running, outcomes, lines } = await startOpen();
      const before = lines().length;
      disk.operations.length = 0;
      disk.before = (operation) => {
        if (operation.do === what && operation.name === LOG) throw broken;
      };
      await send(frame([PAID], 5));
      await expect(running).rejects.toBe(broken);
      await send(frame([PAID], 6), frame([deposit("bob", 1)], 7));
      expect(outcomes()).toEqual([]);
      expect(disk.of("write", LOG)).toHaveLength(1);
      expect(disk.of("sync", LOG)).toHaveLength(what === "sync" ? 1 : 0);
      if (what === "write") expect(lines()).toHaveLength(before);
    },
  );

  test("while the next batch is executed: neither of them is answered", async () => {
    const { disk, send, running, outcomes } = await startOpen();
    const release = holdLog(disk);
    disk.slow = async (name) => {
      if (name !== LOG) return;
      await promise;
      throw broken;
    };
    const { promise, resolve } = Promise.withResolvers<void>();
    await send(frame([PAID], 5));
    await send(frame([PAID], 6));
    release();
    resolve();
    await expect(running).rejects.toBe(broken);
    await quiet();
    expect(outcomes()).toEqual([]);
  });
});

describe("a message", () => {
  test("that is no command is counted and told of, changes nothing and stops nothing", async () => {
    const { send, loop, malformed, outcomes, lines, stop } = await startOpen();
    const before = lines();
    const sequence = await send(new Uint8Array(), json("{}"), json("no JSON"), frame([PAID]).subarray(0, 40));
    await loop.settled(sequence);
    expect(malformed.map((message) => message.sequence)).toEqual([2, 3, 4, 5]);
    expect(malformed.every(({ why }) => why.length > 0)).toBe(true);
    expect(loop.counters.malformed).toBe(4);
    expect(lines()).toEqual(before);
    expect(outcomes()).toEqual([]);
    const next = await send(frame([PAID], 9));
    await loop.settled(next);
    expect(told(outcomes())).toEqual(["9 committed"]);
    await stop();
  });

  test("of an outside client is decided, counted, and answered to nobody", async () => {
    const { send, loop, outcomes, lines, stop } = await startOpen();
    const sequence = await send(
      json(foreign(PAID)),
      json([foreign(PAID), foreign(transfer("alice", "bob", 500))]),
    );
    await loop.settled(sequence);
    const rejected = new Map([["insufficient_funds", 1]]);
    expect(loop.counters).toMatchObject({ malformed: 0, foreign: 3, committed: 1, rejected });
    expect(outcomes()).toEqual([]);
    expect(
      lines()
        .slice(2)
        .map((line) => JSON.parse(line).type),
    ).toEqual(["MoneyDeducted", "MoneyCredited", "TransactionFailed"]);
    await stop();
  });

  test.each([
    ["@world as its payer", { from_account: "@world" }],
    ["@world as its receiver", { to_account: "@world" }],
    ["no id", { transaction_id: undefined }],
    ["a fraction", { amount: 1.5 }],
    ["an unknown field", { kind: "deposit" }],
  ])("of an outside client with %s is refused as a whole, with all of its array", async (_, wrong) => {
    const { send, loop, malformed, lines, stop } = await startOpen();
    const before = lines();
    const bad = { ...foreign(transfer("alice", "bob", 1)), ...wrong };
    const sequence = await send(json(bad), json([foreign(PAID), bad]));
    await loop.settled(sequence);
    expect(malformed).toHaveLength(2);
    expect(lines()).toEqual(before);
    await stop();
  });

  test("of a version or kind that this one does not know stops the engine, unanswered", async () => {
    for (const change of [
      (bytes: Uint8Array) => bytes.fill(3, 2, 3),
      (bytes: Uint8Array) => bytes.fill(200, 40, 41),
    ]) {
      const { send, running, outcomes, lines } = await startOpen();
      const before = lines();
      await send(frame([PAID], 5), withCrc(change(frame([deposit("bob", 1)], 6))), frame([PAID], 7));
      await expect(running).rejects.toBeInstanceOf(UnknownCommand);
      await quiet();
      expect(outcomes()).toEqual([]);
      expect(lines()).toEqual(before);
    }
  });
});

describe("time", () => {
  test("is the message's, and never runs backwards", async () => {
    const { send, loop, lines, stop } = await startOpen();
    const sequence = await send(
      { data: frame([deposit("a", 1)]), at: FIRST_AT + 5_000 },
      { data: frame([deposit("a", 1), deposit("a", 2)]), at: FIRST_AT - 9_000 },
      { data: frame([deposit("a", 1)]), at: FIRST_AT + 5_001 },
    );
    await loop.settled(sequence);
    const times = lines()
      .map((line) => JSON.parse(line).at)
      .filter((time) => time !== undefined);
    expect(times).toEqual([1, 1, 5_000, 5_000, 5_000, 5_001].map((ms) => FIRST_AT + ms));
    await stop();
  });
});

describe("an engine that starts again", () => {
  test("goes on inside the message that was logged last, and answers it to nobody", async () => {
    const first = await startOpen();
    await first.stop();
    const { bytes } = first.log.position;
    const message = frame([deposit("bob", 1), deposit("bob", 2), deposit("bob", 4)], 5);
    const whole = await start(first.folder);
    await whole.loop.settled(await whole.send(message));
    const expected = whole.lines();
    await whole.stop();

    const again = await start(first.folder);
    expect(again.log.position.index).toBe(2);
    expect(again.log.position.bytes).toBeGreaterThan(bytes);
    await again.send({ data: message, at: FIRST_AT + 1, sequence: again.log.position.sequence });
    await again.loop.settled(again.log.position.sequence);
    expect(again.lines()).toEqual(expected);
    expect(again.outcomes()).toEqual([]);
    await again.stop();
  });

  test("settled() waits for a message that was executed and is on disk, also where it wrote nothing", async () => {
    const { disk, send, loop, log, stop } = await startOpen();
    const release = holdLog(disk);
    const sequence = await send(frame([PAID], 5), new Uint8Array());
    let settled = false;
    const waiting = loop.settled(sequence).then((position) => {
      settled = true;
      return position;
    });
    await quiet();
    expect(settled).toBe(false);
    release();
    expect(await waiting).toEqual(log.writer.durable);
    await stop();
  });
});

/** The frame with the crc that its bytes have now. */
function withCrc(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const head = Bun.hash.crc32(bytes.subarray(0, 32));
  view.setUint32(32, Bun.hash.crc32(bytes.subarray(36), head), true);
  return bytes;
}
