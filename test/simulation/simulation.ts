/**
 * One simulated history of a ledger, made from a seed: real nodes (engine, log, recovery, batching, queue,
 * gateways) on simulated disks, clock, network and stream, with callers, under faults. Two nodes share an
 * outside server, one has its own.
 *
 * After every step the auditor compares what callers were told with the bytes on the disks.
 */

import { LEAST_ROOM } from "../../src/gateway/admission.ts";
import type { GatewayNode } from "../../src/node/gateway-node.ts";
import type { Answer } from "../../src/ports/answer.ts";
import { Auditor, Violation } from "./auditor.ts";
import { type History, newHistory, nextRequest, probe, type Request, toldOf } from "./clients.ts";
import { Faults } from "./faults.ts";
import { Operator } from "./operator.ts";
import { MAX_DELAY_MS } from "./port.ts";
import { Random } from "./random.ts";
import { type Process, SimulatedNode, settled, type World } from "./simulated-node.ts";
import { SimulatedServer } from "./stream.ts";
import { SimulatedTime } from "./time.ts";

const STEPS = 1_000;
const MAX_CALLERS = 6;
const LARGE_CALLERS = 5;
const MAX_READING_MS = 2_000;
const MAX_PROBES = 20;
/** For how many steps a node may need to come back when nothing is broken any more. */
const MAX_CALM_STEPS = 4_000;
/** Of a seed with large sizes, whose steps cost more. */
const LARGE_STEPS = 400;
const MAX_LARGE_STEPS = 6_000;
/** One seed of so many has sizes as they are in production: beyond a segment of records, and a batch of the engine. */
const SEEDS_PER_LARGE = 100;
const SMALL = { maxFrameBytes: 400, mostWaiting: 400, transfers: 0 };
const LARGE = { maxFrameBytes: 1 << 20, mostWaiting: LEAST_ROOM, transfers: 48_000 };

export interface Summary {
  readonly seed: number;
  readonly events: number;
  readonly answered: number;
  readonly crashes: number;
}

export interface SimulationOptions {
  readonly faults?: boolean;
  /** Whether sizes are large; by the seed unless told. */
  readonly large?: boolean;
}

export class Simulation {
  readonly #random: Random;
  readonly #time = new SimulatedTime();
  readonly #server: SimulatedServer;
  readonly #auditor = new Auditor();
  readonly #nodes: SimulatedNode[] = [];
  readonly #faults: Faults | undefined;
  readonly #history: History;
  /** What happened, for whoever has to find out why a seed fails. */
  readonly trace: string[] = [];
  /** Transfers that are still to be decided in large batches: nothing breaks before most of them are. */
  #large: number;
  #violation: unknown;
  #answered = 0;
  /** Answers that their callers have not read yet. */
  #unread = 0;
  #calm = false;

  constructor(
    readonly seed: number,
    { faults = true, large = seed % SEEDS_PER_LARGE === 0 }: SimulationOptions = {},
  ) {
    this.#random = new Random(seed);
    const { maxFrameBytes, mostWaiting, transfers } = large ? LARGE : SMALL;
    this.#large = transfers;
    this.#history = newHistory(large);
    this.#server = new SimulatedServer(this.#random, this.#time, maxFrameBytes);
    const embedded = this.#random.chance(0.7);
    const world: World = {
      random: this.#random,
      time: this.#time,
      server: this.#server,
      auditor: this.#auditor,
      nodes: this.#nodes,
      embedded,
      mostWaiting,
      say: (message, facts) => this.#say(message, facts),
      failed: (violation) => {
        this.#violation ??= violation;
      },
    };
    const operator = new Operator(world, this.#nodes);
    for (const name of embedded ? ["one"] : ["one", "two"]) {
      const node: SimulatedNode = new SimulatedNode(name, world, (error) => operator.stopped(node, error));
      this.#nodes.push(node);
    }
    if (faults) this.#faults = new Faults(world, this.#nodes, operator);
  }

  /** Throws Violation, or whatever else must not have happened. */
  async run(): Promise<Summary> {
    for (const node of this.#nodes) node.start();
    const steps = this.#large > 0 ? LARGE_STEPS : STEPS;
    for (let step = 0; step < steps || (this.#large > 0 && step < MAX_LARGE_STEPS); step++) {
      if (this.#large <= LARGE.transfers / 3) await this.#faults?.maybeBreak();
      this.#maybeAsk();
      this.#maybeRead();
      await this.#step();
    }
    await this.#comeToRest();
    const { seq: events } = this.#auditor;
    return { seed: this.seed, events, answered: this.#answered, crashes: this.#faults?.crashes ?? 0 };
  }

  async #step(): Promise<void> {
    this.#time.step();
    await settled();
    this.#check();
  }

  #check(): void {
    if (this.#violation !== undefined) throw this.#violation;
    for (const node of this.#nodes) node.check();
  }

  #maybeAsk(): void {
    const node = this.#random.pick(this.#nodes);
    const { process } = node;
    if (!process || process.open.size >= MAX_CALLERS || !this.#random.chance(this.#calm ? 0.05 : 0.5)) return;
    // All callers at once: the engine takes only a part of what they ask.
    const large = this.#large > 0 && !this.#calm && node.ready && this.#random.chance(0.3);
    for (let count = large ? LARGE_CALLERS : 1; count > 0; count--) {
      const request = nextRequest(this.#random, this.#history, large);
      this.#ask(node, process, this.#random.pick(process.gateways), request).catch((error) => {
        this.#violation ??= error;
      });
    }
  }

  /** Resolves with the answer when it has left; never, where the process crashes before. */
  async #ask(node: SimulatedNode, process: Process, gateway: GatewayNode, request: Request): Promise<Answer> {
    this.#auditor.asked(request.asked);
    process.open.add(request);
    const answer = await request.send(gateway.wallet);
    if (process.dead || !process.open.delete(request)) return await new Promise(() => {});
    const decided = answer.status !== 503 && answer.status !== 504;
    node.readiness.answered(decided, node.ready, this.#time.nowMs);
    // A slow caller reads what was sent long ago, maybe by a process that has crashed meanwhile.
    const lateMs = this.#random.chance(0.1) ? this.#random.between(1, MAX_READING_MS) : 0;
    this.#unread++;
    if (lateMs === 0) this.#told(node, request, answer);
    else this.#time.after(this, lateMs, () => this.#told(node, request, answer));
    return answer;
  }

  /** A caller reads its answer. */
  #told(node: SimulatedNode, request: Request, answer: Answer): void {
    this.#unread--;
    try {
      const told = toldOf(request, answer);
      if (told === "refused") this.#auditor.refused(request.asked);
      else if (told === "unknown") this.#auditor.unanswered(request.asked);
      else {
        node.noteLog();
        this.#auditor.answered(node.name, request.asked, told.told, told.counts);
        this.#answered += told.told.length;
        if (told.told.length > SMALL.mostWaiting) this.#large -= told.told.length;
        node.toldSeq = Math.max(node.toldSeq, told.seq);
      }
    } catch (error) {
      this.#violation ??= error;
    }
  }

  /** A read that begins after an answer of its node sees what it told, whichever gateway is asked. */
  #maybeRead(): void {
    const node = this.#random.pick(this.#nodes);
    const { process, toldSeq } = node;
    if (!process || !this.#random.chance(0.3)) return;
    const gateway = this.#random.pick(process.gateways);
    const read = async () => {
      const { recovered } = process;
      const answer = await gateway.read(() => gateway.wallet.ledger());
      if (!recovered && !process.recovered && JSON.parse(answer.body).code !== "not_ready")
        throw new Violation(`a node that reads its log shows ${answer.body}`);
      if (process.dead || answer.status !== 200) return;
      node.noteLog();
      const seq = seqOf(answer);
      if (seq < toldSeq) throw new Violation(`a read shows seq ${seq}, after callers were told ${toldSeq}`);
      if (seq > this.#auditor.seqOf(node.name))
        throw new Violation(`a read shows seq ${seq}, which is not durable`);
    };
    read().catch((error) => {
      this.#violation ??= error;
    });
  }

  /** No more faults: everything must come back, every caller must be answered, and all must add up. */
  async #comeToRest(): Promise<void> {
    this.#calm = true;
    this.#faults?.end();
    if (this.#faults && this.#random.chance(0.1)) await this.#askInVain(this.#faults.standStill());
    // What broke just now is told to the gateways first.
    for (const toldMs = this.#time.nowMs + MAX_DELAY_MS; this.#time.nowMs <= toldMs; ) await this.#step();
    const isCalm = () =>
      this.#nodes.every(({ ready, process, disk }) => ready && process?.open.size === 0 && !disk.isTaken);
    await this.#until("the nodes do not come back", isCalm);
    for (const node of this.#nodes) {
      for (const gateway of node.process?.gateways ?? []) await this.#probe(node, gateway);
    }
    await this.#until("answers are not read", () => this.#unread === 0);
    const { seq } = this.#auditor;
    await this.#until("a node lags for ever", () =>
      this.#nodes.every(({ name }) => this.#auditor.seqOf(name) === seq),
    );
    for (const node of this.#nodes) await this.#finish(node);
    this.#auditor.all();
    for (const node of this.#nodes) await this.#readAgain(node);
  }

  /** Callers ask a server that stores nothing, with nothing else wrong: its node must not stay ready. */
  async #askInVain(untilMs: number): Promise<void> {
    while (this.#time.nowMs < untilMs && this.#server.state === "silent") {
      this.#maybeAsk();
      await this.#step();
    }
  }

  async #until(otherwise: string, isSo: () => boolean): Promise<void> {
    for (let step = 0; !isSo(); step++) {
      if (step > MAX_CALM_STEPS) {
        const why = this.#nodes.map(({ process }) => process?.gateways[0]?.unready());
        throw new Violation(`${otherwise}: ${why.join(", ")}`);
      }
      await this.#step();
    }
  }

  /** A ready node takes commands. It may have to find out first that it is not: for how long, its watch says. */
  async #probe(node: SimulatedNode, gateway: GatewayNode): Promise<void> {
    for (let tries = 1; ; tries++) {
      await this.#until("the node does not come back", () => node.ready);
      const { status, body, retryAfter = 0 } = await this.#deposit(node, gateway);
      if (status === 200 || status === 422) return;
      if ((status !== 503 && status !== 504) || tries === MAX_PROBES)
        throw new Violation(`a ready node took no command: ${body}`);
      for (const againMs = this.#time.nowMs + retryAfter * 1_000; this.#time.nowMs < againMs; )
        await this.#step();
    }
  }

  async #deposit(node: SimulatedNode, gateway: GatewayNode): Promise<Answer> {
    let answer: Answer | undefined;
    const request = probe(this.#random);
    this.#ask(node, node.process as Process, gateway, request).then(
      (told) => {
        answer = told;
      },
      (error) => {
        this.#violation ??= error;
      },
    );
    await this.#until("a ready node does not answer", () => answer !== undefined);
    return answer as unknown as Answer;
  }

  async #finish({ process }: SimulatedNode): Promise<void> {
    let done = false;
    const node = process?.node;
    const stopping = node?.drain(1_000).then(() => node.stop(1_000));
    stopping?.then(
      () => {
        done = true;
      },
      (error) => {
        this.#violation ??= error;
      },
    );
    await this.#until("the node does not stop", () => done);
  }

  /** What a fresh process reads is what the last one showed. */
  async #readAgain(node: SimulatedNode): Promise<void> {
    node.kill();
    node.start();
    await this.#until("the log cannot be read again", () => node.process?.recovered === true);
    const [gateway] = node.process?.gateways ?? [];
    await this.#until("replay differs from what was live", () => gateway?.balances.seq === this.#auditor.seq);
    this.#check();
    node.kill();
  }

  #say(message: string, facts: object): void {
    this.trace.push(`${this.#time.nowMs.toFixed(0).padStart(8)} ${message} ${JSON.stringify(facts)}`);
  }
}

/** The seq of an answer that has one; else 0. */
function seqOf({ body }: Answer): number {
  return (JSON.parse(body) as { seq?: number }).seq ?? 0;
}
