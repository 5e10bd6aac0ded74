/** One simulated machine of the ledger: a disk, and the process that runs the real node on it, until it stops or is killed. */

import { crc32 } from "node:zlib";
import type { TransactionId } from "../../src/domain/names.ts";
import { checkLines } from "../../src/eventlog/check-lines.ts";
import { MARK_NAME } from "../../src/eventlog/mark.ts";
import { DamagedLog, LOG_NAME } from "../../src/eventlog/recovery.ts";
import { GatewayNode } from "../../src/node/gateway-node.ts";
import { LedgerNode, type NodeParts, type NodeSettings } from "../../src/node/ledger-node.ts";
import type { BalancesView } from "../../src/ports/balances.ts";
import type { ToEngine, ToGateway } from "../../src/ports/link.ts";
import type { LogPosition } from "../../src/ports/log-position.ts";
import type { NodeLog } from "../../src/ports/node-log.ts";
import { QueueRefused } from "../../src/queue/nats-queue.ts";
import { beyondText, type NodePosition, nodeBeyond } from "../../src/queue/other-nodes.ts";
import { newestSnapshot } from "../../src/snapshots/snapshot-files.ts";
import { type Auditor, Violation } from "./auditor.ts";
import type { Request } from "./clients.ts";
import { Dead, NO_DISK_FAULTS, SimulatedDisk } from "./disk.ts";
import { SimulatedPort } from "./port.ts";
import type { Random } from "./random.ts";
import { ReadinessWatch } from "./readiness.ts";
import type { SimulatedSession } from "./session.ts";
import type { Owner, SimulatedServer } from "./stream.ts";
import type { SimulatedTime } from "./time.ts";

const MAX_GATEWAYS = 2;
const MAX_SNAPSHOT_COMMANDS = 40;
/** The folder of snapshots, within the ledger's. */
const SNAPSHOTS = "snapshots/";
const POSITION_INTERVAL_MS = 1_000;
const OUTCOME_TIMEOUT_MS = 4_000;
const SETTINGS = { currency: undefined, strict: undefined };

/** What the simulated parts have in common. */
export interface World {
  readonly random: Random;
  readonly time: SimulatedTime;
  readonly server: SimulatedServer;
  readonly auditor: Auditor;
  readonly nodes: readonly SimulatedNode[];
  /** The server is the node's own child: there is one node. */
  readonly embedded: boolean;
  readonly mostWaiting: number;
  say(message: string, facts: object): void;
  /** Something must not have happened. */
  failed(violation: unknown): void;
}

/** What an operator allows for one start. */
export type Allowed = Partial<Pick<NodeSettings, "remakeLostStream" | "acceptGap">>;

/** A process: dead after its crash, with everything that it had begun. */
export interface Process extends Owner {
  dead: boolean;
  readonly node: LedgerNode<SimulatedSession>;
  readonly gateways: readonly GatewayNode[];
  recovered: boolean;
  /** Torn ends of the log that were kept before it started. */
  readonly tornPieces: number;
  /** Requests that it has not answered. */
  readonly open: Set<Request>;
}

export class SimulatedNode {
  readonly disk: SimulatedDisk;
  process: Process | undefined;
  lagMs = 0;
  /** Up to where other nodes have reported that they have logged, to the process that runs. */
  readonly #heard = new Map<string, number>();
  /** The highest seq that any of its callers was told. */
  toldSeq = 0;
  readonly readiness: ReadinessWatch;

  /** `stopped` hears of a process that stopped by itself, as it must after some faults. */
  constructor(
    readonly name: string,
    private readonly world: World,
    private readonly stopped: (error: unknown) => void,
  ) {
    this.disk = new SimulatedDisk(world.random, world.time);
    this.readiness = new ReadinessWatch(name);
  }

  /** Whether it takes commands, as all of its gateways see it. */
  get ready(): boolean {
    const { process } = this;
    return (
      process?.recovered === true && process.gateways.every((gateway) => gateway.unready() === undefined)
    );
  }

  start(allowed: Allowed = {}): void {
    const { world } = this;
    const { random } = world;
    const node = this;
    const owner = {
      dead: false,
      get lagMs() {
        return node.lagMs;
      },
    };
    let answered = 0;
    const ledgerNode = new LedgerNode<SimulatedSession>(
      { ...this.#parts(owner), checkLines: (end) => this.#checkLines(owner, end) },
      {
        ...this.#settings(random.between(1, MAX_SNAPSHOT_COMMANDS)),
        ...allowed,
      },
      this.#log(),
      {
        marked: (sequence) => {
          if (!owner.dead) this.#register(sequence);
        },
        committed: ({ seq }) => {
          answered = seq;
        },
      },
    );
    const gateways = Array.from({ length: random.between(1, MAX_GATEWAYS) }, () =>
      this.#gateway(owner, ledgerNode, () => answered),
    );
    const process: Process = Object.assign(owner, {
      node: ledgerNode,
      gateways,
      recovered: false,
      tornPieces: this.#tornPieces().length,
      open: new Set<Request>(),
    });
    this.process = process;
    ledgerNode.failed.catch((error) => this.#stopped(process, error));
    ledgerNode.recover().then(
      () => {
        if (process.dead) return;
        process.recovered = true;
        ledgerNode.run();
      },
      (error) => this.#stopped(process, error),
    );
  }

  /** The process ends at once. */
  kill(): void {
    const { process, world } = this;
    if (!process) return;
    process.dead = true;
    this.#heard.clear();
    world.time.forget(process);
    this.disk.processDied();
    this.process = undefined;
    for (const { asked } of process.open) world.auditor.unanswered(asked);
    process.open.clear();
  }

  /** The auditor takes note of what is durable. */
  noteLog(): void {
    const { world, disk } = this;
    world.auditor.log(this.name, disk.durable(LOG_NAME), disk.version(LOG_NAME));
  }

  /** Holds what the node shows against what is durable. */
  check(): void {
    const { process } = this;
    this.noteLog();
    this.readiness.look(this.ready);
    if (!process) return;
    for (const gateway of process.gateways) {
      if (process.recovered) this.#checkBalances(gateway.balances);
      else if (gateway.unready() === undefined)
        throw new Violation(`${this.name} is ready before its log is recovered`);
    }
  }

  /** Another node's log and mark are put in the place of this one's, which does not run. */
  copy(other: SimulatedNode): void {
    for (const name of this.disk.names()) if (name.startsWith(SNAPSHOTS)) this.disk.put(name, undefined);
    this.disk.put(MARK_NAME, other.disk.durable(MARK_NAME).slice());
    const bytes = this.world.auditor.bytesOf(other.name);
    this.disk.put(LOG_NAME, other.disk.durable(LOG_NAME).slice(0, bytes));
    this.world.auditor.replaced(this.name);
  }

  /** A snapshot's files may break at any time: then another one counts, or none. */
  spoilASnapshot(): void {
    const { random } = this.world;
    const names = this.disk.names().filter((name) => name.startsWith(SNAPSHOTS));
    if (names.length === 0) return;
    const name = random.pick(names);
    const { length } = this.disk.cached(name);
    if (length === 0) return;
    this.world.say("a snapshot's file is spoiled", { name });
    this.disk.flipBit(name, random.below(length));
  }

  /** Before the mark, every flipped bit must be found, and nothing be changed by finding it. */
  async flipABit(): Promise<void> {
    const { random, time } = this.world;
    const marked = markedBytes(this.disk.durable(MARK_NAME));
    if (marked === 0) return;
    const { faults } = this.disk;
    this.disk.faults = { ...NO_DISK_FAULTS };
    const flipped = random.below(marked);
    const back = this.disk.flipBit(LOG_NAME, flipped);
    const before = this.disk.cached(LOG_NAME).slice();
    const finder = { dead: false, lagMs: 0 };
    const node = new LedgerNode<SimulatedSession>(
      {
        ...this.#parts(finder),
        connect: () => new Promise(() => {}),
        snapshots: undefined,
        checkLines: async () => undefined,
      },
      this.#settings(MAX_SNAPSHOT_COMMANDS),
      { info: () => {}, warn: () => {}, error: () => {} },
    );
    let found: unknown;
    const recovering = node.recover().catch((error) => {
      found = error;
    });
    for (let turn = 0; turn < 20 && found === undefined; turn++) await settled();
    if (found === undefined) await Promise.race([recovering, settled()]);
    finder.dead = true;
    time.forget(finder);
    // A bit of the format's number may make it a newer format, which is refused as well.
    if (!(found instanceof DamagedLog) && !(found instanceof Error && found.name === "NewerFormat")) {
      throw new Violation(`a flipped bit was not found: ${found}`);
    }
    await this.#findBehindSnapshot(flipped);
    if (Buffer.compare(before, this.disk.cached(LOG_NAME)) !== 0)
      throw new Violation("a damaged log was changed");
    back();
    this.disk.faults = faults;
  }

  /** Who starts behind a snapshot finds it later. */
  async #findBehindSnapshot(flipped: number): Promise<void> {
    const reader = { dead: false };
    const snapshot = newestSnapshot(this.disk.folder(reader, SNAPSHOTS), () => {});
    const end = snapshot?.state.position;
    if (end && flipped < end.bytes && (await this.#checkLines(reader, end)) === undefined)
      throw new Violation("a flipped bit was not found behind a snapshot");
  }

  async #checkLines(process: { readonly dead: boolean }, end: LogPosition): Promise<string | undefined> {
    const file = this.disk.folder(process).open(LOG_NAME, false);
    if (!file) throw new Violation("there is a snapshot, but no log");
    return await checkLines(file, LOG_NAME, end);
  }

  #parts(owner: Owner): NodeParts<SimulatedSession> {
    const { random, server, time } = this.world;
    return {
      folder: this.disk.folder(owner),
      clock: time.clockOf(owner),
      connect: (answered) => server.connect(owner, answered),
      nodePositions: async () => this.#knownPositions(owner),
      lost: async (_session, { sequence }) => {
        if (server.registry.has(this.name)) server.registry.set(this.name, sequence);
      },
      joined: async (session) => {
        if (!server.registry.has(this.name)) server.registry.set(this.name, 0);
        this.#lookAtOthers(owner, session);
      },
      opened: () => {},
      hashKey: [random.bits() | 0, random.bits() | 0],
      newUuid: () => random.uuid(),
      serverHangs: () => {
        if (this.world.embedded) server.replace();
      },
      snapshots: this.disk.folder(owner, SNAPSHOTS),
      checkLines: async () => undefined,
      hasRoom: () => random.chance(0.9),
    };
  }

  #settings(snapshotCommands: number): NodeSettings {
    const { embedded } = this.world;
    return { ...SETTINGS, embedded, remakeLostStream: undefined, acceptGap: undefined, snapshotCommands };
  }

  #log(): NodeLog {
    const say = (facts: object, message: string) => this.world.say(`${this.name}: ${message}`, facts);
    return { info: say, warn: say, error: say };
  }

  #register(sequence: number): void {
    const { server, random } = this.world;
    if (!server.up || !random.chance(0.5)) return;
    server.registry.set(this.name, sequence);
    server.purge();
  }

  /** As the host does it: what is registered, and what other nodes have reported while this process lives. */
  #knownPositions(owner: Owner): readonly NodePosition[] {
    const { embedded, server, nodes } = this.world;
    if (embedded) return [];
    for (const { name, process } of nodes) {
      if (!process?.recovered || process === owner) continue;
      const { sequence } = process.node.durable;
      this.#heard.set(name, Math.max(sequence, this.#heard.get(name) ?? 0));
    }
    return [...server.registry, ...this.#heard].map(([node, sequence]) => ({ node, sequence }));
  }

  /** As the host does it: once a second the stream is held against them. */
  #lookAtOthers(owner: Owner, session: SimulatedSession): void {
    const { embedded, time } = this.world;
    if (embedded) return;
    const look = async () => {
      if (session.over) return;
      const positions = this.#knownPositions(owner);
      const stream = await session.stream().catch(() => undefined);
      const beyond = stream && !session.over && nodeBeyond(positions, stream.lastSequence);
      if (beyond) this.process?.node.fail(new QueueRefused(beyondText(beyond, stream.lastSequence)));
      else this.#lookAtOthers(owner, session);
    };
    time.after(owner, POSITION_INTERVAL_MS, () => void look());
  }

  #gateway(owner: Owner, node: LedgerNode<SimulatedSession>, answeredSeq: () => number): GatewayNode {
    const { random, time, mostWaiting } = this.world;
    const origin = random.bytes(16);
    const [engineEnd, gatewayEnd] = SimulatedPort.pair<ToGateway, ToEngine>(owner, random, time);
    const gateway = new GatewayNode(
      {
        port: gatewayEnd,
        clock: time.clockOf(owner),
        origin,
        newTransactionId: () => random.uuid() as TransactionId,
        answeredSeq,
        keysChanged: () => {},
        stopAccepting: async () => {},
        cut: async () => {},
      },
      { outcomeTimeoutMs: OUTCOME_TIMEOUT_MS, mostWaiting },
    );
    node.join(origin, engineEnd, {
      failedRequest: (error) => this.world.failed(new Violation(`a request failed: ${error}`)),
      metrics: async () => "",
    });
    return gateway;
  }

  #tornPieces(): readonly string[] {
    return this.disk.names().filter((name) => name.startsWith(`${LOG_NAME}.torn-`));
  }

  #stopped(process: Process, error: unknown): void {
    if (process.dead || error instanceof Dead) return;
    if (!process.recovered && isFull(error) && this.#tornPieces().length > process.tornPieces)
      this.world.failed(new Violation(`each start of ${this.name} on a full disk leaves a piece of its log`));
    this.world.say(`${this.name} stopped`, { error: String(error) });
    this.kill();
    try {
      this.stopped(error);
    } catch (violation) {
      this.world.failed(violation);
    }
  }

  #checkBalances(balances: BalancesView): void {
    const { auditor } = this.world;
    const seq = auditor.seqOf(this.name);
    if (balances.seq > seq) throw new Violation("the read model is ahead of what is durable");
    if (balances.seq < auditor.seq) return; // what was committed just now is on its way, or another node is ahead
    for (const [account, balance] of auditor.balances) {
      const shown = balances.balance(account as never, "USD" as never);
      if (BigInt(shown?.available ?? 0) !== balance) {
        throw new Violation(`${account} has ${balance}, the read model shows ${shown?.available}`);
      }
    }
    const sum = balances.ledger()?.totals[0]?.sum;
    if (sum !== undefined && sum !== 0) throw new Violation(`the read model's sum is ${sum}`);
  }
}

/** Lets every promise go on that can. */
export async function settled(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOSPC";
}

/** What the newest whole slot of the mark says, read by its text. */
function markedBytes(mark: Uint8Array): number {
  let newest = { generation: -1, bytes: 0 };
  for (const line of Buffer.from(mark).toString("latin1").split("\n")) {
    const [, body, check] = /^(\{.*),"check":"([0-9a-f]{8})"\} *$/.exec(line) ?? [];
    if (crc32(`${body}}`).toString(16).padStart(8, "0") !== check) continue; // torn: the other one counts
    const slot = JSON.parse(`${body}}`);
    if (slot.generation > newest.generation) newest = slot;
  }
  return newest.bytes;
}
