/**
 * One simulated history of a node, made from a seed: the real node (engine, log, recovery, batching,
 * queue, gateway) on a simulated disk, clock, network and stream, with callers, under faults.
 *
 * After every step the auditor compares what callers were told with the bytes on the disk.
 */

import { crc32 } from "node:zlib";
import type { TransactionId } from "../../src/domain/names.ts";
import { checkLines } from "../../src/eventlog/check-lines.ts";
import { MARK_NAME } from "../../src/eventlog/mark.ts";
import { DamagedLog, LOG_NAME } from "../../src/eventlog/recovery.ts";
import { newestSnapshot } from "../../src/eventlog/snapshot-files.ts";
import type { Answer } from "../../src/gateway/answers.ts";
import { GatewayNode } from "../../src/gateway-node.ts";
import { LedgerNode } from "../../src/node.ts";
import type { BalancesView } from "../../src/ports/balances.ts";
import type { ToEngine, ToGateway } from "../../src/ports/link.ts";
import type { LogPosition } from "../../src/ports/log-position.ts";
import type { NodeLog } from "../../src/ports/node-log.ts";
import { Auditor, Violation } from "./auditor.ts";
import { type History, nextRequest, type Request, toldOf } from "./clients.ts";
import { Dead, SimulatedDisk } from "./disk.ts";
import { MAX_DELAY_MS, SimulatedPort } from "./port.ts";
import { Random } from "./random.ts";
import { SimulatedServer, type SimulatedSession } from "./stream.ts";
import { SimulatedTime } from "./time.ts";

const STEPS = 1_200;
const MAX_CALLERS = 6;
const MAX_GATEWAYS = 2;
const MAX_READING_MS = 2_000;
const MAX_SNAPSHOT_COMMANDS = 40;
/** The folder of snapshots, within the ledger's. */
const SNAPSHOTS = "snapshots/";
const OUTCOME_TIMEOUT_MS = 4_000;
const SETTINGS = {
  currency: undefined,
  strict: undefined,
  embedded: true,
  remakeLostStream: false,
  acceptGap: false,
};
const MAX_PROBES = 3;
/** For how many steps a node may need to come back when nothing is broken any more. */
const MAX_CALM_STEPS = 4_000;

/** A process: dead after its crash, with everything that it had begun. */
interface Process {
  dead: boolean;
  node: LedgerNode<SimulatedSession>;
  readonly gateways: GatewayNode[];
  recovered: boolean;
  /** Requests that it has not answered. */
  readonly open: Set<Request>;
}

export interface Summary {
  readonly seed: number;
  readonly events: number;
  readonly answered: number;
  readonly crashes: number;
}

export class Simulation {
  readonly #random: Random;
  readonly #time = new SimulatedTime();
  readonly #disk: SimulatedDisk;
  readonly #server: SimulatedServer;
  readonly #auditor = new Auditor();
  readonly #history: History = { transfer: [], deposit: [], withdraw: [], open_account: [] };
  /** What happened, for whoever has to find out why a seed fails. */
  readonly trace: string[] = [];
  readonly #faults: boolean;
  #process: Process | undefined;
  #violation: unknown;
  #answered = 0;
  /** The highest seq that any caller was told. */
  #toldSeq = 0;
  #crashes = 0;
  #calm = false;

  constructor(
    readonly seed: number,
    { faults = true }: { faults?: boolean } = {},
  ) {
    this.#random = new Random(seed);
    this.#disk = new SimulatedDisk(this.#random, this.#time);
    this.#server = new SimulatedServer(this.#random, this.#time);
    this.#faults = faults;
  }

  /** Throws Violation, or whatever else must not have happened. */
  async run(): Promise<Summary> {
    this.#start();
    for (let step = 0; step < STEPS; step++) {
      if (this.#faults) await this.#maybeBreak();
      this.#maybeAsk();
      this.#maybeRead();
      await this.#step();
    }
    await this.#comeToRest();
    return { seed: this.seed, events: this.#auditor.seq, answered: this.#answered, crashes: this.#crashes };
  }

  async #step(): Promise<void> {
    this.#time.step();
    await settled();
    this.#check();
  }

  #check(): void {
    if (this.#violation !== undefined) throw this.#violation;
    this.#auditor.log(this.#disk.durable(LOG_NAME));
    const process = this.#process;
    if (!process?.recovered || process.dead) return;
    for (const { balances } of process.gateways) this.#checkBalances(balances);
  }

  #checkBalances(balances: BalancesView): void {
    if (balances.seq > this.#auditor.seq) throw new Violation("the read model is ahead of what is durable");
    if (balances.seq < this.#auditor.seq) return; // what was committed just now is on its way
    for (const [account, balance] of this.#auditor.balances) {
      const shown = balances.balance(account as never, "USD" as never);
      if (BigInt(shown?.available ?? 0) !== balance) {
        throw new Violation(`${account} has ${balance}, the read model shows ${shown?.available}`);
      }
    }
    const sum = balances.ledger()?.totals[0]?.sum;
    if (sum !== undefined && sum !== 0) throw new Violation(`the read model's sum is ${sum}`);
  }

  #start(): void {
    const process: Process = {
      dead: false,
      recovered: false,
      open: new Set(),
      node: undefined as never,
      gateways: [],
    };
    let answered = 0;
    const log: NodeLog = {
      info: (facts, message) => this.#say(message, facts),
      warn: (facts, message) => this.#say(message, facts),
      error: (facts, message) => this.#say(message, facts),
    };
    process.node = new LedgerNode<SimulatedSession>(
      {
        folder: this.#disk.folder(process),
        clock: this.#time.clockOf(process),
        connect: (answered) => this.#server.connect(process, answered),
        joined: async () => {},
        opened: () => {},
        hashKey: [1, 2],
        newUuid: () => this.#random.uuid(),
        serverHangs: () => {},
        snapshots: this.#disk.folder(process, SNAPSHOTS),
        checkLines: (end) => this.#checkLines(process, end),
        hasRoom: () => this.#random.chance(0.9),
      },
      { ...SETTINGS, snapshotCommands: this.#random.between(1, MAX_SNAPSHOT_COMMANDS) },
      log,
      (sequence) => {
        if (!process.dead && this.#server.up && this.#random.chance(0.5)) this.#server.purge(sequence);
      },
      ({ seq }) => {
        answered = seq;
      },
    );
    const gateways = this.#random.between(1, MAX_GATEWAYS);
    while (process.gateways.length < gateways) process.gateways.push(this.#gateway(process, () => answered));
    this.#process = process;
    process.node.failed.catch((error) => this.#stopped(process, error));
    process.node.recover().then(
      () => {
        if (process.dead) return;
        process.recovered = true;
        process.node.run();
      },
      (error) => this.#stopped(process, error),
    );
  }

  #gateway(process: Process, answeredSeq: () => number): GatewayNode {
    const origin = this.#random.bytes(16);
    const [engineEnd, gatewayEnd] = SimulatedPort.pair<ToGateway, ToEngine>(
      process,
      this.#random,
      this.#time,
    );
    const gateway = new GatewayNode(
      {
        port: gatewayEnd,
        clock: this.#time.clockOf(process),
        origin,
        newTransactionId: () => this.#random.uuid() as TransactionId,
        answeredSeq,
        keysChanged: () => {},
        stopAccepting: async () => {},
        cut: async () => {},
      },
      { outcomeTimeoutMs: OUTCOME_TIMEOUT_MS, maxWaitingCommands: 200 },
    );
    process.node.join(Buffer.from(origin).toString("hex"), engineEnd, {
      failedRequest: (error) => {
        this.#violation ??= new Violation(`a request failed: ${error}`);
      },
      metrics: async () => "",
    });
    return gateway;
  }

  /** The node stopped by itself, as it must after some faults; it is started again, as an operator would. */
  #stopped(process: Process, error: unknown): void {
    if (process.dead || error instanceof Dead) return;
    const known = error instanceof Error && "code" in error && ["EIO", "ENOSPC"].includes(String(error.code));
    if (!known) {
      this.#violation ??= error;
      return;
    }
    this.#say("the node stopped", { error: String(error) });
    this.#kill(process);
    this.#restartLater();
  }

  #kill(process: Process): void {
    process.dead = true;
    this.#time.forget(process);
    this.#disk.processDied();
    this.#process = undefined;
    process.open.clear();
  }

  #restartLater(): void {
    this.#time.after(this, this.#random.between(1, 500), () => {
      this.#disk.faults.full = false;
      if (!this.#process) this.#start();
    });
  }

  async #maybeBreak(): Promise<void> {
    const random = this.#random;
    const process = this.#process;
    if (process && random.chance(0.004)) {
      this.#crashes++;
      const machine = random.chance(0.6);
      this.#say(machine ? "the machine crashes" : "the process crashes", {});
      this.#kill(process);
      if (machine) {
        this.#disk.loseCache();
        if (this.#server.up) this.#crashServer(true);
      }
      if (random.chance(0.3)) await this.#flipABit();
      if (random.chance(0.2)) this.#spoilASnapshot();
      this.#restartLater();
    }
    if (this.#server.up && random.chance(0.004)) this.#crashServer(random.chance(0.5));
    if (random.chance(0.05)) this.#server.sync();
    if (random.chance(0.002)) this.#server.jumpClock();
    if (random.chance(0.01)) {
      const network = this.#server.faults;
      network.lost = random.pick([0, 0, 0.01, 0.05]);
      network.doubled = random.pick([0, 0, 0.05, 0.2]);
      network.refused = random.pick([0, 0, 0, 0.2]);
      network.maxDelayMs = random.pick([1, 5, 50, 800]);
      const disk = this.#disk.faults;
      disk.shortWrite = random.pick([0, 0.1, 0.5]);
      disk.writeFails = random.pick([0, 0, 0, 0.02]);
      disk.syncFails = random.pick([0, 0, 0, 0.02]);
      disk.full = random.chance(0.03);
      disk.maxSyncMs = random.pick([0, 3, 40, 400]);
    }
  }

  #crashServer(loseTail: boolean): void {
    this.#say("the server crashes", { loseTail });
    this.#server.crash(loseTail);
    if (loseTail && this.#random.chance(0.1)) this.#server.wipe();
    this.#time.after(this, this.#random.between(1, 3_000), () => this.#server.restart());
  }

  /** A snapshot's files may break at any time: then another one counts, or none. */
  #spoilASnapshot(): void {
    const names = this.#disk.names().filter((name) => name.startsWith(SNAPSHOTS));
    if (names.length === 0) return;
    const name = this.#random.pick(names);
    const { length } = this.#disk.cached(name);
    if (length === 0) return;
    this.#say("a snapshot's file is spoiled", { name });
    this.#disk.flipBit(name, this.#random.below(length));
  }

  async #checkLines(process: { readonly dead: boolean }, end: LogPosition): Promise<string | undefined> {
    const file = this.#disk.folder(process).open(LOG_NAME, false);
    if (!file) throw new Violation("there is a snapshot, but no log");
    return await checkLines(file, LOG_NAME, end);
  }

  /** Before the mark, every flipped bit must be found, and nothing be changed by finding it. */
  async #flipABit(): Promise<void> {
    const marked = markedBytes(this.#disk.durable(MARK_NAME));
    if (marked === 0) return;
    const flipped = this.#random.below(marked);
    const back = this.#disk.flipBit(LOG_NAME, flipped);
    const before = this.#disk.cached(LOG_NAME).slice();
    const finder = { dead: false };
    const node = new LedgerNode<SimulatedSession>(
      {
        folder: this.#disk.folder(finder),
        clock: this.#time.clockOf(finder),
        connect: () => new Promise(() => {}),
        joined: async () => {},
        opened: () => {},
        hashKey: [1, 2],
        newUuid: () => this.#random.uuid(),
        serverHangs: () => {},
        snapshots: undefined,
        checkLines: async () => undefined,
        hasRoom: () => true,
      },
      { ...SETTINGS, snapshotCommands: MAX_SNAPSHOT_COMMANDS },
      { info: () => {}, warn: () => {}, error: () => {} },
    );
    let found: unknown;
    const recovering = node.recover().catch((error) => {
      found = error;
    });
    for (let turn = 0; turn < 20 && found === undefined; turn++) await settled();
    if (found === undefined) await Promise.race([recovering, settled()]);
    finder.dead = true;
    this.#time.forget(finder);
    // A bit of the format's number may make it a newer format, which is refused as well.
    if (!(found instanceof DamagedLog) && !(found instanceof Error && found.name === "NewerFormat")) {
      throw new Violation(`a flipped bit was not found: ${found}`);
    }
    await this.#findBehindSnapshot(flipped);
    if (Buffer.compare(before, this.#disk.cached(LOG_NAME)) !== 0)
      throw new Violation("a damaged log was changed");
    back();
  }

  /** Who starts behind a snapshot finds it later. */
  async #findBehindSnapshot(flipped: number): Promise<void> {
    const reader = { dead: false };
    const snapshot = newestSnapshot(this.#disk.folder(reader, SNAPSHOTS), () => {});
    const end = snapshot?.state.position;
    if (end && flipped < end.bytes && (await this.#checkLines(reader, end)) === undefined)
      throw new Violation("a flipped bit was not found behind a snapshot");
  }

  #maybeAsk(): void {
    const process = this.#process;
    if (!process || process.open.size >= MAX_CALLERS || !this.#random.chance(this.#calm ? 0.05 : 0.5)) return;
    const request = nextRequest(this.#random, this.#history);
    process.open.add(request);
    request.send(this.#random.pick(process.gateways).wallet).then(
      (answer) => {
        if (process.dead || !process.open.delete(request)) return;
        // A slow caller reads what was sent long ago, maybe by a process that has crashed meanwhile.
        const lateMs = this.#random.chance(0.1) ? this.#random.between(1, MAX_READING_MS) : 0;
        if (lateMs === 0) this.#told(request, answer);
        else this.#time.after(this, lateMs, () => this.#told(request, answer));
      },
      (error) => {
        if (!process.dead) this.#violation ??= error;
      },
    );
  }

  /** A caller reads its answer. */
  #told(request: Request, answer: Answer): void {
    try {
      const told = toldOf(request, answer);
      if (!told) return;
      this.#auditor.log(this.#disk.durable(LOG_NAME));
      for (const [index, asked] of request.asked.entries()) {
        this.#auditor.answered(asked, told[index] as (typeof told)[number]);
      }
      this.#answered += told.length;
      this.#toldSeq = Math.max(this.#toldSeq, seqOf(answer));
    } catch (error) {
      this.#violation ??= error;
    }
  }

  /** A read that begins after an answer sees what it told, whichever gateway is asked. */
  #maybeRead(): void {
    const process = this.#process;
    if (!process || !this.#random.chance(0.3)) return;
    const begun = this.#toldSeq;
    const gateway = this.#random.pick(process.gateways);
    const read = async () => {
      const answer = await gateway.read(() => gateway.wallet.ledger());
      if (process.dead || answer.status !== 200) return;
      this.#auditor.log(this.#disk.durable(LOG_NAME));
      const seq = seqOf(answer);
      if (seq < begun) throw new Violation(`a read shows seq ${seq}, after callers were told ${begun}`);
      if (seq > this.#auditor.seq) throw new Violation(`a read shows seq ${seq}, which is not durable`);
    };
    read().catch((error) => {
      this.#violation ??= error;
    });
  }

  /** No more faults: everything must come back, every caller must be answered, and all must add up. */
  async #comeToRest(): Promise<void> {
    this.#calm = true;
    this.#disk.faults = { shortWrite: 0, writeFails: 0, syncFails: 0, full: false, maxSyncMs: 1 };
    this.#server.faults = { lost: 0, doubled: 0, refused: 0, maxDelayMs: 1 };
    if (!this.#server.up) this.#server.restart();
    // What broke just now is told to the gateways first.
    for (const toldMs = this.#time.nowMs + MAX_DELAY_MS; this.#time.nowMs <= toldMs; ) await this.#step();
    const isCalm = () =>
      this.#process?.recovered === true &&
      this.#process.gateways.every((gateway) => gateway.unready() === undefined) &&
      this.#process.open.size === 0;
    for (let step = 0; !isCalm(); step++) {
      if (step > MAX_CALM_STEPS)
        throw new Violation(`the node does not come back: ${this.#process?.gateways[0]?.unready()}`);
      await this.#step();
    }
    const { node, gateways } = this.#process as Process;
    for (const gateway of gateways) await this.#probe(gateway);
    await this.#finish(node);
    this.#auditor.all();
    await this.#readAgain();
  }

  /** A node that says that it is ready takes commands; at the latest when a caller tries again as it is told to. */
  async #probe(gateway: GatewayNode): Promise<void> {
    for (let tries = 1; ; tries++) {
      const { status, body, retryAfter } = await this.#deposit(gateway);
      if (status === 200 || status === 422) return;
      // A stream that is full makes room when it refuses a frame.
      if (status !== 503 || retryAfter === undefined || tries === MAX_PROBES)
        throw new Violation(`a ready node took no command: ${body}`);
      for (const againMs = this.#time.nowMs + retryAfter * 1_000; this.#time.nowMs < againMs; )
        await this.#step();
    }
  }

  async #deposit(gateway: GatewayNode): Promise<Answer> {
    let answer: Answer | undefined;
    gateway.wallet.move("deposit", new TextEncoder().encode('{"account_id":"probe","amount":1}')).then(
      (told) => {
        answer = told;
      },
      (error) => {
        this.#violation ??= error;
      },
    );
    for (let step = 0; !answer; step++) {
      if (step > MAX_CALM_STEPS) throw new Violation("a ready node does not answer");
      await this.#step();
    }
    return answer;
  }

  async #finish(node: LedgerNode<SimulatedSession>): Promise<void> {
    let done = false;
    const stopping = node.drain(1_000).then(() => node.stop(1_000));
    stopping.then(
      () => {
        done = true;
      },
      (error) => {
        this.#violation ??= error;
      },
    );
    for (let step = 0; !done; step++) {
      if (step > MAX_CALM_STEPS) throw new Violation("the node does not stop");
      await this.#step();
    }
  }

  /** What a fresh process reads is what the last one showed. */
  async #readAgain(): Promise<void> {
    this.#start();
    for (let step = 0; this.#process?.recovered !== true; step++) {
      if (step > MAX_CALM_STEPS) throw new Violation("the log cannot be read again");
      await this.#step();
    }
    const [gateway] = this.#process.gateways;
    for (let step = 0; gateway?.balances.seq !== this.#auditor.seq; step++) {
      if (step > MAX_CALM_STEPS) throw new Violation("replay differs from what was live");
      await this.#step();
    }
    this.#check();
    this.#kill(this.#process);
  }

  #say(message: string, facts: object): void {
    this.trace.push(`${this.#time.nowMs.toFixed(0).padStart(8)} ${message} ${JSON.stringify(facts)}`);
  }
}

/** The seq of an answer that has one; else 0. */
function seqOf({ body }: Answer): number {
  return (JSON.parse(body) as { seq?: number }).seq ?? 0;
}

/** Lets every promise go on that can. */
async function settled(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
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
