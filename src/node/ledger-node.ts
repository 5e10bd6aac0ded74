/**
 * The ledger's side of a node: wires the queue, the engine and the log together, and tells gateways over
 * their links what became of commands. gateway-node.ts is the other side.
 *
 * What it stands on (disk, clock, stream, randomness) is passed in: the machine's own by host.ts,
 * simulated ones by the simulator.
 */

import { LOG_FORMAT } from "../domain/commands/commands.ts";
import type { WalletEvent } from "../domain/events.ts";
import { type Currency, parseTransactionId } from "../domain/names.ts";
import { type EngineCounters, EngineLoop } from "../engine/engine-loop.ts";
import { holdsCommand } from "../engine/last-command.ts";
import { Replay } from "../engine/replay.ts";
import type { SnapshotTaker } from "../engine/snapshot-taker.ts";
import type { HashKey } from "../engine/transaction-index.ts";
import { WalletEngine } from "../engine/wallet-engine.ts";
import { LogFiles, LostFile } from "../eventlog/log-files.ts";
import { crcAt, eventsEndingAt } from "../eventlog/lookup.ts";
import { LogMark } from "../eventlog/mark.ts";
import { recoverLog } from "../eventlog/recovery.ts";
import { rescueLog } from "../eventlog/rescue.ts";
import { EventLogWriter } from "../eventlog/writer.ts";
import { encodeLedger } from "../link/columns.ts";
import { GatewayLink, type LinkNode } from "../link/gateway-link.ts";
import { EngineMeasures } from "../metrics/engine-measures.ts";
import type { Clock } from "../ports/clock.ts";
import type { CommandMessages, CommandQueue, QueueState } from "../ports/command-queue.ts";
import type { Port, ToEngine, ToGateway } from "../ports/link.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { NodeLog } from "../ports/node-log.ts";
import { NatsQueue, QueueRefused } from "../queue/nats-queue.ts";
import type { NodePosition } from "../queue/other-nodes.ts";
import type { PublishAnswer, StreamSession, StreamState } from "../queue/stream-session.ts";
import { NodeSnapshots, type SnapshotParts, type SnapshotProgress } from "../snapshots/node-snapshots.ts";
import { buildFrame, CommandWriter } from "../wire/frame.ts";
import { FrameOrigins } from "../wire/frame-origins.ts";

/** What a node stands on. */
export interface NodeParts<S extends StreamSession> extends SnapshotParts {
  readonly clock: Clock;
  /** Connects to the stream; `answered` hears what it says to frames. */
  connect(answered: (answer: PublishAnswer) => void): Promise<S>;
  /** Up to where the ledger's nodes have logged, as far as it can be learned. */
  nodePositions(session: S): Promise<readonly NodePosition[]>;
  /** The stream has lost commands of this log, and the node is about to be refused. */
  lost(session: S, log: LogPosition): Promise<void>;
  /** A session has found its stream; called before anything is consumed or published. */
  joined(session: S): Promise<void>;
  /** Commands are taken over this session from now on. */
  opened(session: S): void;
  /** Two random 32-bit integers: the key of the id index, so that nobody can choose ids that collide. */
  readonly hashKey: HashKey;
  /** A new random UUID. */
  newUuid(): string;
  /** The stream's server has not answered for a while: if it is the node's own, it is ended. Called repeatedly. */
  serverHangs(): void;
}

export interface NodeSettings {
  /** Of the ledger's opening; undefined where nothing was said. */
  readonly currency: Currency | undefined;
  readonly strict: boolean | undefined;
  readonly embedded: boolean;
  readonly remakeLostStream: number | undefined;
  readonly acceptGap: string | undefined;
  /** A snapshot is taken behind so many commands; 0 for none. */
  readonly snapshotCommands: number;
}

/** What hears of the node's progress. */
export interface NodeListener {
  /** The message of each command that the log's mark has reached. */
  marked?(sequence: number): void;
  /** Each batch that is on disk, before any gateway hears of it. */
  committed?(position: LogPosition): void;
  /** Commands may be taken now, or no more. */
  takingChanged?(): void;
}

/** The node cannot start, or must not go on; the message says why. */
export class NodeRefused extends Error {
  override readonly name = "NodeRefused";
}

/** What callers are told then: the log has the paths. */
const LOST = "a file of the ledger was lost";
const DEFAULT_CURRENCY = "USD" as Currency;
/** Bytes of messages that the engine executes between two syncs of the log. */
const ENGINE_BATCH_BYTES = 1 << 20;
const ENGINE_LONG_POLL_MS = 1_000;
const MALFORMED_LOG_INTERVAL_MS = 1_000;
/** How often a late gateway is looked at, and how many times one that takes nothing. */
const LATE_GATEWAY_LOOK_MS = 5;
const MAX_LOOKS = 6_000;

/** What there is once the log is recovered. */
interface Running<S extends StreamSession> {
  readonly writer: EventLogWriter;
  readonly loop: EngineLoop;
  readonly queue: NatsQueue<S>;
  crcAt(sequence: number, index: number): number | undefined;
  readonly snapshots: SnapshotTaker | undefined;
}

export class LedgerNode<S extends StreamSession> {
  readonly measures = new EngineMeasures();
  readonly #engine: WalletEngine;
  readonly #snapshots: NodeSnapshots;
  readonly #commands: CommandQueue;
  readonly #links: GatewayLink[] = [];
  readonly #origins = new FrameOrigins();
  readonly #failed = Promise.withResolvers<never>();
  readonly #opened = Promise.withResolvers<void>();
  #running: Running<S> | undefined;
  #finished: Promise<unknown> = Promise.resolve();
  #stopping = false;
  #ending = false;
  #paused: string | undefined;
  #lost: LostFile | undefined;
  #marked = 0;
  #malformedMs = Number.NEGATIVE_INFINITY;
  /** Malformed messages since the last line about them. */
  #malformedSince = 0;

  constructor(
    private readonly parts: NodeParts<S>,
    private readonly settings: NodeSettings,
    private readonly log: NodeLog,
    private readonly listener: NodeListener = {},
  ) {
    this.#engine = new WalletEngine(parts.hashKey);
    this.#snapshots = new NodeSnapshots(parts, this.#engine, log);
    this.#commands = this.#queueOfGateways();
    this.#failed.promise.catch(() => {}); // whoever runs the node awaits it; until then it must not count as unhandled
  }

  /** Rejects with the reason when the node must stop at once. Never resolves. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** Resolves when commands are taken for the first time. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Joins a gateway before recover(). */
  join(origin: Uint8Array, port: Port<ToGateway, ToEngine>, node: LinkNode): GatewayLink {
    const link = new GatewayLink({
      gateway: this.#origins.add(origin),
      origin: Buffer.from(origin).toString("hex"),
      port,
      commands: this.#commands,
      node,
    });
    this.#links.push(link);
    return link;
  }

  /** Whether commands are taken. */
  get taking(): boolean {
    return this.#commands.state.open;
  }

  /** Where the log on disk ends. */
  get durable(): LogPosition {
    return this.#part().writer.durable;
  }

  /** What the engine has counted; undefined before the log is recovered. */
  get counters(): EngineCounters | undefined {
    return this.#running?.loop.counters;
  }

  /** The stream's state, as of a second ago; undefined while there is no connection. */
  get stream(): StreamState | undefined {
    return this.#running?.queue.stream;
  }

  get snapshots(): SnapshotProgress {
    return this.#snapshots.progress;
  }

  /** The message of the command at the log's mark; 0 for none. */
  get markedSequence(): number {
    return this.#marked;
  }

  /** The log's crc after a command; undefined where no such command wrote anything. */
  crcAt(sequence: number, index: number): number | undefined {
    return this.#part().crcAt(sequence, index);
  }

  /** Reads the log into engine and read model. Rejects where it is damaged, or where a setting contradicts it. */
  async recover(): Promise<void> {
    const { folder, clock } = this.parts;
    const mark = LogMark.read(folder);
    const startedMs = clock.nowMs();
    const replay = new Replay(this.#engine);
    const start = this.#snapshots.restore();
    const { file, position, torn } = await recoverLog(folder, mark, replay, undefined, start);
    const currency = this.#engine.ledger.opened?.currency;
    const last =
      replay.commands > 0 || position.seq === 0
        ? replay.lastEvents()
        : eventsEndingAt(file, position, currency);
    if (!mark && position.seq > 0)
      this.log.warn(
        { event: "mark_missing", events: position.seq },
        "the log has no mark: commands missing at its end cannot be detected",
      );
    if (torn)
      this.log.warn(
        { event: "torn_end_cut", ...torn },
        "the log had a torn end: it was cut off and kept in a file",
      );
    this.checkOpening();
    // Before anything is appended there must be a mark: without one, what a crash leaves cannot be told from damage.
    const newMark = LogMark.open(folder);
    await newMark.write(position);
    await folder.sync();
    this.#marked = position.sequence;
    const writer = new EventLogWriter(
      new LogFiles(folder, file, newMark),
      position,
      currency,
      clock,
      ({ sequence }) => {
        this.#marked = sequence;
        this.listener.marked?.(sequence);
      },
      (error) => this.fail(error),
      this.measures.log,
    );
    const queue = this.#queue(position, last);
    const { snapshotCommands } = this.settings;
    const snapshots = this.#snapshots.taker(snapshotCommands, () => this.#paused !== undefined);
    const loop = this.#loop(writer, queue, snapshots);
    const crcOf = (sequence: number, index: number) => crcAt(file, writer.durable.bytes, sequence, index);
    this.#running = { writer, loop, queue, crcAt: crcOf, snapshots };
    const ledger = encodeLedger(this.#engine.ledger);
    for (const link of this.#links) link.recovered(ledger);
    this.#tellState();
    this.log.info(
      {
        event: "log_recovered",
        events: position.seq,
        snapshot: start?.position.seq,
        seconds: Math.round(clock.nowMs() - startedMs) / 1_000,
      },
      "log recovered",
    );
    this.#snapshots.checkOlderLines().catch((error) => this.fail(error));
  }

  /** Consumes and takes commands, until stop() or a failure. */
  run(): void {
    const { loop, queue } = this.#part();
    this.#finished = Promise.all([loop.run(), queue.run()]).catch((error) => this.fail(error));
  }

  /** Refuses commands and leaves those of the queue where they are, until it is called without a reason. */
  pause(reason: string | undefined): void {
    if (this.#paused === reason) return;
    this.#paused = reason;
    this.#tellState();
  }

  /** Takes no more commands; resolves when those under way are answered, or after `patienceMs`. */
  async drain(patienceMs: number): Promise<void> {
    this.#stopping = true;
    this.#tellState();
    const drained = Promise.all(this.#links.map((link) => link.call("drain")));
    await Promise.race([drained, this.#after(patienceMs)]);
  }

  /** Ends every part, with the log synced and its mark at the end; a last snapshot has `patienceMs`. */
  async stop(patienceMs: number): Promise<void> {
    this.#stopping = true;
    this.#ending = true;
    const running = this.#running;
    running?.loop.stop();
    running?.queue.stop();
    await this.#finished;
    await running?.writer.close().catch((error) => this.fail(error));
    if (this.#lost) return await this.failed; // not before its bytes are safe
    if (running?.snapshots)
      await Promise.race([running.snapshots.finish(running.writer.durable), this.#after(patienceMs)]);
  }

  /** Whether the settings that count at the opening are those of the ledger. Throws NodeRefused. */
  checkOpening(): void {
    const { opened } = this.#engine.ledger;
    const { currency, strict } = this.settings;
    if (!opened) return;
    if (currency !== undefined && currency !== opened.currency) {
      throw new NodeRefused(`--currency is ${currency}, but the ledger was opened with ${opened.currency}`);
    }
    if (strict !== undefined && strict !== opened.strict) {
      throw new NodeRefused(`--strict is ${strict}, but the ledger was opened with ${opened.strict}`);
    }
  }

  /** The node must stop at once, without an answer to whoever's outcome is not durable. */
  fail(error: unknown): void {
    if (error instanceof LostFile) this.#lose(error);
    else this.#failed.reject(error);
  }

  /** Nothing is decided or answered any more; the node stops when that loses nothing. */
  #lose(lost: LostFile): void {
    if (this.#lost) return;
    this.#lost = lost;
    const { loop, writer } = this.#part();
    loop.stop();
    this.#tellState();
    const { clock, hasRoom } = this.parts;
    rescueLog(lost, writer.files, writer.durable, { clock, hasRoom, log: this.log }).then(
      this.#failed.reject,
      this.#failed.reject,
    );
  }

  #part(): Running<S> {
    if (!this.#running) throw new TypeError("the node is used before its log is recovered");
    return this.#running;
  }

  #tellState(): void {
    for (const link of this.#links) link.tellState();
    this.listener.takingChanged?.();
  }

  /** The queue as gateways see it: closed until it is there, and while the node is paused. */
  #queueOfGateways(): CommandQueue {
    const starting: QueueState = { open: false, reason: "the node is recovering" };
    const state = (): QueueState => {
      if (this.#stopping) return { open: false, reason: "the node is stopping" };
      if (this.#lost) return { open: false, reason: LOST };
      if (this.#paused !== undefined) return { open: false, reason: this.#paused };
      return this.#running?.queue.state ?? starting;
    };
    const queue = () => this.#running?.queue;
    return {
      get state() {
        return state();
      },
      get maxFrameBytes() {
        return queue()?.maxFrameBytes ?? 0;
      },
      publish: (frame) => {
        const opened = queue();
        if (opened) opened.publish(frame);
        else frame.refused(starting.reason);
      },
      settle: (frame, count) => queue()?.settle(frame, count) ?? false,
      abandon: (frame) => queue()?.abandon(frame),
    };
  }

  #queue(start: LogPosition, lastEvents: readonly WalletEvent[]): NatsQueue<S> {
    const { clock } = this.parts;
    const { embedded, remakeLostStream, acceptGap } = this.settings;
    return new NatsQueue<S>(
      {
        clock,
        witness: {
          settled: (sequence) => this.#part().loop.settled(sequence),
          holdsLast: (message) =>
            holdsCommand(message, start, lastEvents, this.#engine.ledger.opened?.currency),
        },
        connect: (answered) => this.parts.connect(answered),
        newLedgerId: () => this.parts.newUuid(),
        openingFrame: (ledgerId) => this.#openingFrame(ledgerId),
        nodePositions: (session) => this.parts.nodePositions(session),
        lost: (session, log) => this.parts.lost(session, log),
        emptyFrame: () => ({ origin: this.parts.newUuid(), bytes: buildFrame(new Uint8Array(16), 0, []) }),
        hangs: () => this.parts.serverHangs(),
        joined: (session) => this.parts.joined(session),
        stateChanged: () => this.#tellState(),
        opened: (session) => {
          this.parts.opened(session);
          this.#opened.resolve();
        },
        report: (level, message, facts) => this.log[level](facts, message),
      },
      { embedded, remakeLostStream, acceptGap },
    );
  }

  #loop(writer: EventLogWriter, queue: NatsQueue<S>, snapshots: SnapshotTaker | undefined): EngineLoop {
    const messages: CommandMessages = {
      take: () => (this.#paused === undefined && !this.#lateGateway() ? queue.take() : undefined),
      wait: async (timeoutMs) => {
        if (this.#lateGateway()) await this.#waitForGateways();
        if (this.#paused === undefined) return await queue.wait(timeoutMs);
        await this.#after(timeoutMs);
        return false;
      },
    };
    return new EngineLoop(
      {
        engine: this.#engine,
        messages,
        log: writer,
        clock: this.parts.clock,
        gatewayOf: (frame) => this.#origins.gatewayOf(frame),
        committed: (batch) => {
          this.listener.committed?.(batch.position);
          for (const link of this.#links) link.committed(batch);
        },
        malformed: ({ sequence }, why) => this.#malformed(sequence, why),
        snapshots,
      },
      {
        batchBytes: ENGINE_BATCH_BYTES,
        maxReadTimeoutMs: ENGINE_LONG_POLL_MS,
        measures: this.measures.batch,
      },
    );
  }

  #lateGateway(): GatewayLink | undefined {
    for (const link of this.#links) if (link.full) return link;
    return undefined;
  }

  /** What a late gateway was told stays bounded: nothing more is decided before it has taken some of it. */
  async #waitForGateways(): Promise<void> {
    let [before, looks] = [-1, 0];
    for (let late = this.#lateGateway(); late && !this.#ending; late = this.#lateGateway()) {
      looks = late.taken === before ? looks + 1 : 0;
      before = late.taken;
      if (looks > MAX_LOOKS) this.fail(new Error("a gateway thread no longer accepts data"));
      await this.#after(LATE_GATEWAY_LOOK_MS);
    }
  }

  /** Anyone who may publish can cause these lines: so many a second and no more. */
  #malformed(sequence: number, why: string): void {
    const nowMs = this.parts.clock.nowMs();
    this.#malformedSince++;
    if (nowMs - this.#malformedMs < MALFORMED_LOG_INTERVAL_MS) return;
    this.log.warn(
      { event: "message_malformed", sequence, why, count: this.#malformedSince },
      "a message in the stream is not a command",
    );
    this.#malformedMs = nowMs;
    this.#malformedSince = 0;
  }

  #openingFrame(ledgerId: string): Uint8Array {
    const ledger_id = parseTransactionId(ledgerId);
    if (!ledger_id) throw new QueueRefused(`the stream's ledger_id is not a UUID: ${ledgerId}`);
    const { currency = DEFAULT_CURRENCY, strict = false } = this.settings;
    const writer = new CommandWriter();
    writer.add({ kind: "open_ledger", format: LOG_FORMAT, ledger_id, currency, strict });
    return buildFrame(new Uint8Array(16), 0, [writer.take()]);
  }

  #after(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.parts.clock.after(milliseconds, resolve);
    });
  }
}
