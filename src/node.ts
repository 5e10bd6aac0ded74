/** One running node: wires the rooms together, starts them in order, and stops them. */

import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { v4, v7 } from "uuid";
import type { Config } from "./config.ts";
import { LOG_FORMAT } from "./domain/commands.ts";
import type { WalletEvent } from "./domain/events.ts";
import { type Currency, parseTransactionId, type TransactionId } from "./domain/names.ts";
import { EngineLoop } from "./engine/engine-loop.ts";
import { holdsCommand } from "./engine/last-command.ts";
import { WalletEngine } from "./engine/wallet-engine.ts";
import { DiskFolder } from "./eventlog/disk.ts";
import { crcAt } from "./eventlog/lookup.ts";
import { LogMark } from "./eventlog/mark.ts";
import { type RecoveredLog, recoverLog } from "./eventlog/recovery.ts";
import { EventLogWriter } from "./eventlog/writer.ts";
import { CommandSender } from "./gateway/command-sender.ts";
import { createHttp } from "./gateway/http.ts";
import { WalletService } from "./gateway/wallet-service.ts";
import type { Clock } from "./ports/clock.ts";
import type { CommandMessages, CommandQueue, QueueState } from "./ports/command-queue.ts";
import type { FrameOutcome, Outcomes } from "./ports/outcomes.ts";
import { BalancesProjection } from "./projection/balances-projection.ts";
import { EmbeddedServer } from "./queue/embedded-server.ts";
import { NatsQueue, QueueRefused } from "./queue/nats-queue.ts";
import type { NatsEndpoint, NatsSession } from "./queue/nats-session.ts";
import { Positions } from "./queue/positions.ts";
import { StreamPurge } from "./queue/purge.ts";
import { serveTransfers } from "./queue/transfer-service.ts";
import type { FileLock, HttpServer, Runtime } from "./runtime/runtime.ts";
import { buildFrame, CommandWriter } from "./wire/frame.ts";

export const SERVE_SETTINGS = [
  "data",
  "host",
  "port",
  "currency",
  "strict",
  "natsUrl",
  "streamMaxBytes",
  "streamReplicas",
  "remakeLostStream",
  "acceptGap",
  "outcomeTimeoutMs",
  "maxWaitingCommands",
  "maxBodyBytes",
  "minFreeBytes",
  "shutdownTimeoutMs",
  "logLevel",
] as const;

export type ServeConfig = Config<(typeof SERVE_SETTINGS)[number]>;

/** Where a node tells what it does. */
export interface NodeLog {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** The node cannot start, or must not go on; the message says why. */
export class NodeRefused extends Error {
  override readonly name = "NodeRefused";
}

const DEFAULT_CURRENCY = "USD" as Currency;
/** Bytes of messages that the engine executes between two syncs of the log. */
const ENGINE_BATCH_BYTES = 1 << 20;
const ENGINE_LONG_POLL_MS = 1_000;
const POSITION_INTERVAL_MS = 1_000;
const DISK_CHECK_INTERVAL_MS = 1_000;
/** For how long the folder may be held by a process that is just ending. */
const LOCK_PATIENCE_MS = 2_000;
const LOCK_RETRY_MS = 100;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

export class WalletNode {
  readonly #config: ServeConfig;
  readonly #runtime: Runtime;
  readonly #log: NodeLog;
  readonly #name: string;
  readonly #engine = new WalletEngine();
  readonly #balances = new BalancesProjection();
  readonly #outcomes = new DirectOutcomes();
  readonly #failed = Promise.withResolvers<never>();
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  readonly #purge: StreamPurge;
  #positions: Positions | undefined;
  #lock: FileLock | undefined;
  #server: EmbeddedServer | undefined;
  #http: HttpServer | undefined;
  #writer: EventLogWriter | undefined;
  #loop: EngineLoop | undefined;
  #queue: NatsQueue | undefined;
  #sender: CommandSender | undefined;
  #recovered: RecoveredLog | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #stopping = false;
  #state = "starting";
  /** Why commands are refused although the queue is open; undefined where they are not. */
  #diskFull: string | undefined;

  constructor(config: ServeConfig, runtime: Runtime, log: NodeLog) {
    this.#config = config;
    this.#runtime = runtime;
    this.#log = log;
    mkdirSync(config.data, { recursive: true, mode: 0o750 });
    this.#name = nodeName(config.data);
    this.#purge = new StreamPurge(
      this.#name,
      config.natsUrl !== undefined,
      config.streamReplicas,
      (level, message, facts) => this.#log[level](facts, message),
    );
    this.#failed.promise.catch(() => {}); // whoever runs the node awaits it; until then it must not count as unhandled
  }

  /** Rejects with the reason when the node must stop at once. Never resolves. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** Why the node is not ready; undefined where it is. */
  unready(): string | undefined {
    if (this.#state !== "running") return `the node is ${this.#state}`;
    const { state } = this.#commands();
    return state.open ? undefined : state.reason;
  }

  /** Starts everything; resolves with the HTTP port when the node is ready. Rejects with NodeRefused and others. */
  async start(): Promise<number> {
    this.#lock = await this.#takeLock();
    const wallet = this.#gateway();
    const http = createHttp(wallet, {
      maxBodyBytes: this.#config.maxBodyBytes,
      unready: () => this.unready(),
      failed: (error) => this.#log.error({ error: textOf(error) }, "a request failed"),
    });
    this.#http = await this.#runtime.serve(http, this.#config);
    this.#state = "recovering";
    const events = await this.#recover();
    this.#state = "running";
    this.#consume(events, wallet);
    await Promise.race([this.#queueOpen(), this.failed]);
    this.#checkOpening();
    return this.#http.port;
  }

  /** Finishes what is under way, syncs, and ends every part. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#state = "stopping";
    const answered = this.#http?.stop();
    const patience = new Promise<void>((resolve) => setTimeout(resolve, this.#config.shutdownTimeoutMs / 2));
    await Promise.race([this.#sender?.drained(), patience]);
    this.#loop?.stop();
    this.#queue?.stop();
    await this.#running;
    this.#sender?.close();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#writer?.close();
    await Promise.race([answered, patience]);
    await this.#http?.cut();
    await this.#server?.stop();
    this.#lock?.release();
  }

  async #takeLock(): Promise<FileLock> {
    const path = join(this.#config.data, "lock");
    for (const until = performance.now() + LOCK_PATIENCE_MS; ; ) {
      const lock = this.#runtime.lock(path);
      if (lock) return lock;
      if (performance.now() > until) throw new NodeRefused(`${this.#config.data} is held by another process`);
      await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
    }
  }

  #gateway(): WalletService {
    const { maxWaitingCommands, outcomeTimeoutMs } = this.#config;
    const origin = crypto.getRandomValues(new Uint8Array(16));
    this.#sender = new CommandSender(this.#commands(), this.#outcomes, systemClock, {
      origin,
      maxWaitingCommands,
      outcomeTimeoutMs,
    });
    return new WalletService(this.#sender, this.#balances, () => v7() as TransactionId);
  }

  /** The queue as the gateway sees it: closed until it is there, and while the disk is full. */
  #commands(): CommandQueue {
    const away: QueueState = { open: false, reason: "the node is starting" };
    const node = this;
    return {
      get state() {
        if (node.#stopping) return { open: false, reason: "the node is stopping" };
        if (node.#diskFull !== undefined) return { open: false, reason: node.#diskFull };
        return node.#queue?.state ?? away;
      },
      get maxFrameBytes() {
        return node.#queue?.maxFrameBytes ?? 0;
      },
      publish: (frame) => (node.#queue ? node.#queue.publish(frame) : frame.refused(away.reason)),
      settle: (id) => node.#queue?.settle(id),
    };
  }

  /** Reads the log into engine and read model; returns the events of its last command. */
  async #recover(): Promise<readonly WalletEvent[]> {
    const folder = new DiskFolder(this.#config.data);
    const mark = LogMark.open(folder);
    let last: readonly WalletEvent[] = [];
    const started = performance.now();
    this.#recovered = await recoverLog(folder, mark.found, ({ events }) => {
      for (const event of events) this.#engine.apply(event);
      this.#balances.apply(events);
      last = events;
    });
    const { file, position, torn } = this.#recovered;
    if (torn) this.#log.warn(torn, "the log had a torn end, which was cut and kept");
    this.#checkOpening();
    this.#writer = new EventLogWriter(
      file,
      mark,
      position,
      this.#engine.ledger.opened?.currency,
      systemClock,
      ({ sequence }) => this.#purge.marked(sequence),
      (error) => this.#fail(error),
    );
    this.#log.info({ events: position.seq, seconds: seconds(started) }, "recovered");
    return last;
  }

  #consume(lastEvents: readonly WalletEvent[], wallet: WalletService): void {
    const { writer, recovered } = { writer: defined(this.#writer), recovered: defined(this.#recovered) };
    const start = recovered.position;
    const { natsUrl, data, streamMaxBytes, streamReplicas, remakeLostStream, acceptGap } = this.#config;
    this.#server = natsUrl === undefined ? this.#embeddedServer(data) : undefined;
    const queue = new NatsQueue(
      {
        name: `coffer ${this.#name}`,
        witness: {
          start,
          settled: (sequence) => defined(this.#loop).settled(sequence),
          holdsLast: (message) =>
            holdsCommand(message, start, lastEvents, this.#engine.ledger.opened?.currency),
        },
        endpoint: async (): Promise<NatsEndpoint> =>
          this.#server?.endpoint() ?? { servers: (natsUrl ?? "").split(",") },
        newLedgerId: () => v4(),
        openingFrame: (ledgerId) => this.#openingFrame(ledgerId),
        joined: (session) => this.#joined(session, wallet),
        report: (level, message, facts) => this.#log[level](facts, message),
      },
      {
        embedded: natsUrl === undefined,
        streamMaxBytes,
        replicas: streamReplicas,
        remakeLostStream,
        acceptGap,
      },
    );
    this.#queue = queue;
    const messages: CommandMessages = {
      // On a full disk commands stay where they are safe: on the queue.
      take: () => (this.#diskFull === undefined ? queue.take() : undefined),
      wait: (timeoutMs) => queue.wait(timeoutMs),
    };
    const loop = new EngineLoop(
      this.#engine,
      messages,
      writer,
      ({ events, outcomes }) => {
        this.#balances.apply(events);
        for (const outcome of outcomes) this.#outcomes.publish(outcome);
      },
      ({ sequence }, why) => this.#log.warn({ sequence, why }, "a message of the stream is not a command"),
      systemClock,
      { batchBytes: ENGINE_BATCH_BYTES, maxReadTimeoutMs: ENGINE_LONG_POLL_MS },
    );
    this.#loop = loop;
    this.#watchDisk();
    this.#running = Promise.all([loop.run(), queue.run()]).catch((error) => this.#fail(error));
  }

  #embeddedServer(data: string): EmbeddedServer {
    const folder = join(data, "nats");
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    const executable = this.#runtime.natsServer(folder);
    return new EmbeddedServer(executable, folder, randomUUID(), (level, message, facts) =>
      this.#log[level](facts, message),
    );
  }

  /** A connection has found its stream: register there, and serve what else goes over it. */
  async #joined(session: NatsSession, wallet: WalletService): Promise<void> {
    const writer = defined(this.#writer);
    await this.#purge.join(session, writer.durable.sequence);
    serveTransfers(
      session.connection,
      (request) => wallet.transferOrArray(request),
      (error) => this.#log.error({ error: textOf(error) }, "a request failed"),
    );
    const { file } = defined(this.#recovered);
    this.#positions ??= new Positions(
      this.#name,
      {
        durable: () => writer.durable,
        crcAt: (sequence, index) => crcAt(file, writer.durable.bytes, sequence, index),
      },
      (why) => this.#fail(new NodeRefused(why)),
    );
    const positions = this.#positions;
    positions.join(session.connection);
    const timer = setInterval(() => positions.tell(session.connection), POSITION_INTERVAL_MS);
    session.onEnd(() => clearInterval(timer));
  }

  #openingFrame(ledgerId: string): Uint8Array {
    const ledger_id = parseTransactionId(ledgerId);
    if (!ledger_id) throw new QueueRefused(`the stream's ledger_id is not a UUID: ${ledgerId}`);
    const { currency = DEFAULT_CURRENCY, strict = false } = this.#config;
    const writer = new CommandWriter();
    writer.add({ kind: "open_ledger", format: LOG_FORMAT, ledger_id, currency, strict });
    return buildFrame(new Uint8Array(16), 0, [writer.take()]);
  }

  /** Whether the settings that count at the opening are those of the ledger. Throws NodeRefused. */
  #checkOpening(): void {
    const { opened } = this.#engine.ledger;
    const { currency, strict } = this.#config;
    if (!opened) return;
    if (currency !== undefined && currency !== opened.currency) {
      throw new NodeRefused(`--currency is ${currency}, but the ledger was opened with ${opened.currency}`);
    }
    if (strict !== undefined && strict !== opened.strict) {
      throw new NodeRefused(`--strict is ${strict}, but the ledger was opened with ${opened.strict}`);
    }
  }

  #queueOpen(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setInterval(() => {
        if (this.unready() !== undefined) return;
        clearInterval(timer);
        resolve();
      }, 10);
      this.#timers.push(timer);
    });
  }

  #watchDisk(): void {
    const { data, minFreeBytes } = this.#config;
    const look = () => {
      const { bavail, bsize } = statfsSync(data);
      const free = bavail * bsize;
      const full =
        free < minFreeBytes
          ? `only ${free} bytes are free on the disk, of at least ${minFreeBytes}`
          : undefined;
      if ((full === undefined) !== (this.#diskFull === undefined))
        this.#log.warn({ free, minFreeBytes }, full ?? "there is room on the disk again");
      this.#diskFull = full;
    };
    look();
    this.#timers.push(setInterval(look, DISK_CHECK_INTERVAL_MS));
  }

  #fail(error: unknown): void {
    if (this.#stopping) this.#log.error({ error: textOf(error) }, "failed while stopping");
    this.#failed.reject(error);
  }
}

/** Outcomes within one thread. */
class DirectOutcomes implements Outcomes {
  readonly #listeners: ((outcome: FrameOutcome) => void)[] = [];

  publish(outcome: FrameOutcome): void {
    for (const listener of this.#listeners) listener(outcome);
  }

  subscribe(listener: (outcome: FrameOutcome) => void): void {
    this.#listeners.push(listener);
  }
}

/** The node's name among those that read one stream, made at its first start. */
function nodeName(data: string): string {
  const path = join(data, "node");
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const name = v4();
  writeFileSync(`${path}.new`, `${name}\n`);
  renameSync(`${path}.new`, path);
  return name;
}

function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError("a part of the node is used before it is there");
  return value;
}

export function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function seconds(sinceMs: number): number {
  return Math.round(performance.now() - sinceMs) / 1_000;
}
