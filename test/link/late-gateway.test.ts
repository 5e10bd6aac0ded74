/** A gateway that takes nothing of what it is told: the node decides nothing more, and forgets nothing. */

import { expect, test } from "bun:test";
import { money } from "../../src/domain/amount.ts";
import { DiskFolder } from "../../src/eventlog/disk.ts";
import { MAX_UNTAKEN_BYTES } from "../../src/link/backlog.ts";
import type { GatewayLink } from "../../src/link/gateway-link.ts";
import { LedgerNode } from "../../src/node/ledger-node.ts";
import type { Port, ToEngine, ToGateway } from "../../src/ports/link.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { buildFrame, CommandWriter, MAX_FRAME_COMMANDS } from "../../src/wire/frame.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { FakeStream } from "../queue/fake-stream.ts";
import { account, currency, id } from "../support/ledger-specs.ts";

/** Of whole frames of openings: more than a gateway is told that takes nothing. */
const FRAMES = 45;
/** What the engine may tell at once: 1 MiB of frames, and that which is being written. */
const TWO_BATCHES_BYTES = 1 << 24;
const ORIGIN = new Uint8Array(16).fill(7);

class DeafPort implements Port<ToGateway, ToEngine> {
  told = 0;
  receive: (message: ToEngine) => void = () => {};

  post(message: ToGateway): void {
    if (message.type === "committed") this.told += message.weight;
  }

  onMessage(receive: (message: ToEngine) => void): void {
    this.receive = receive;
  }
}

interface Setting {
  readonly node: LedgerNode<ReturnType<FakeStream["connect"]>>;
  readonly port: DeafPort;
  readonly link: GatewayLink;
}

async function withLateGateway(): Promise<Setting> {
  const stream = new FakeStream();
  const node: Setting["node"] = new LedgerNode(
    {
      folder: new DiskFolder(temporaryFolder()),
      clock: systemClock,
      connect: async (answered) => stream.connect(answered),
      nodePositions: async () => [],
      lost: async () => {},
      joined: async () => {},
      opened: () => {},
      hashKey: [1, 2],
      newUuid: () => crypto.randomUUID(),
      serverHangs: () => {},
      snapshots: undefined,
      checkLines: async () => undefined,
      hasRoom: () => true,
    },
    {
      currency: undefined,
      strict: undefined,
      embedded: true,
      remakeLostStream: undefined,
      acceptGap: undefined,
      snapshotCommands: 0,
    },
    { info: () => {}, warn: () => {}, error: () => {} },
  );
  const port = new DeafPort();
  const link = node.join(ORIGIN, port, {
    failedRequest: () => {},
    metrics: async () => "",
  });
  await node.recover();
  node.run();
  await node.opened;
  for (let frame = 0; frame < FRAMES; frame++) stream.store(openings(frame));
  stream.session.arrive();
  await eventually("the gateway has all that it may be told", async () => link.full);
  return { node, port, link };
}

function openings(frame: number): Uint8Array {
  const writer = new CommandWriter();
  for (let index = 0; index < MAX_FRAME_COMMANDS; index++) {
    const number = frame * MAX_FRAME_COMMANDS + index;
    writer.add({
      kind: "open_account",
      transaction_id: id(number + 1),
      account: account(`a${number}`),
      currency: currency("USD"),
      initial_balance: money(0n),
    });
  }
  return buildFrame(ORIGIN, frame + 1, [writer.take()]);
}

test("the engine goes on when a late gateway has taken some of what it was told", async () => {
  const { node, port, link } = await withLateGateway();
  await Bun.sleep(100); // what it could still tell, it has told by now
  expect(link.full).toBe(true);
  expect(port.told).toBeLessThan(MAX_UNTAKEN_BYTES + TWO_BATCHES_BYTES);
  const all = 1 + FRAMES * MAX_FRAME_COMMANDS;
  expect(node.durable.seq).toBeLessThan(all);
  port.receive({ type: "taken", bytes: port.told });
  await eventually("everything is decided", async () => node.durable.seq === all);
  await node.stop(0);
});

test("a node stops, however late a gateway is", async () => {
  const { node } = await withLateGateway();
  await node.stop(0);
});
