/** A node on this machine: its folder and lock, its nats-server or an outside one, HTTP, and what else goes over NATS. */

import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { v4, v7 } from "uuid";
import type { Config } from "./config.ts";
import type { TransactionId } from "./domain/names.ts";
import { DiskFolder } from "./eventlog/disk.ts";
import { createHttp } from "./gateway/http.ts";
import { PostgresLeaderLock } from "./leadership/postgres-leader-lock.ts";
import { type NodeLog, NodeRefused, WalletNode } from "./node.ts";
import type { Clock } from "./ports/clock.ts";
import { LedgerSource } from "./projection/postgres/ledger-source.ts";
import { PostgresWriter } from "./projection/postgres/postgres-writer.ts";
import { BALANCE_CHANGES, BalanceChangeSource } from "./queue/balance-change-source.ts";
import { EmbeddedServer } from "./queue/embedded-server.ts";
import { endpointOf, NatsSession } from "./queue/nats-session.ts";
import { Positions } from "./queue/positions.ts";
import { StreamPurge } from "./queue/purge.ts";
import { serveTransfers } from "./queue/transfer-service.ts";
import type { FileLock, HttpServer, Runtime } from "./runtime/runtime.ts";

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
  "postgresUrl",
  "postgresPartitions",
  "postgresBatchSize",
  "postgresLeaseMs",
  "postgresHeartbeatMs",
  "outcomeTimeoutMs",
  "maxWaitingCommands",
  "maxBodyBytes",
  "minFreeBytes",
  "shutdownTimeoutMs",
  "logLevel",
] as const;

export type ServeConfig = Config<(typeof SERVE_SETTINGS)[number]>;

const POSITION_INTERVAL_MS = 1_000;
const DISK_CHECK_INTERVAL_MS = 1_000;
/** Connections may be kept open without a request: at a stop the last answers get a moment to leave. */
const LAST_ANSWERS_MS = 250;
/** For how long the folder may be held by a process that is just ending. */
const LOCK_PATIENCE_MS = 2_000;
const LOCK_RETRY_MS = 100;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  soon: (run) => {
    setImmediate(run);
  },
};

export class Host {
  readonly #name: string;
  readonly #node: WalletNode<NatsSession>;
  readonly #purge: StreamPurge;
  readonly #positions: Positions;
  #server: EmbeddedServer | undefined;
  #http: HttpServer | undefined;
  #postgres: PostgresWriter | undefined;
  #diskWatch: ReturnType<typeof setInterval> | undefined;

  /** Takes the folder. Rejects with NodeRefused where another process holds it. */
  static async open(config: ServeConfig, runtime: Runtime, log: NodeLog): Promise<Host> {
    if (config.postgresUrl !== undefined && !runtime.postgres)
      throw new NodeRefused(`--postgres-url needs Bun: ${runtime.name} has no client for PostgreSQL`);
    mkdirSync(config.data, { recursive: true, mode: 0o750 });
    return new Host(config, runtime, log, await takeLock(config.data, runtime));
  }

  private constructor(
    private readonly config: ServeConfig,
    private readonly runtime: Runtime,
    private readonly log: NodeLog,
    private readonly lock: FileLock,
  ) {
    this.#name = nodeName(config.data);
    const outside = config.natsUrl !== undefined;
    this.#purge = new StreamPurge(this.#name, outside, config.streamReplicas, (level, message, facts) =>
      log[level](facts, message),
    );
    this.#node = new WalletNode<NatsSession>(
      {
        folder: new DiskFolder(config.data),
        clock: systemClock,
        connect: (answered) => this.#connect(answered),
        joined: (session) => this.#joined(session),
        opened: (session) => this.#serveNats(session),
        hashKey: [randomInt32(), randomInt32()],
        newOrigin: () => crypto.getRandomValues(new Uint8Array(16)),
        newTransactionId: () => v7() as TransactionId,
        newLedgerId: () => v4(),
      },
      { ...config, embedded: !outside },
      log,
      (sequence) => this.#purge.marked(sequence),
    );
    this.#positions = new Positions(this.#name, this.#node, (why) => this.#node.fail(new NodeRefused(why)));
  }

  /** Rejects with the reason when the node must stop at once. Never resolves. */
  get failed(): Promise<never> {
    return this.#node.failed;
  }

  /** Starts everything; resolves with the HTTP port when the node is ready. Rejects where it cannot start. */
  async start(): Promise<number> {
    const http = createHttp(this.#node.wallet, {
      maxBodyBytes: this.config.maxBodyBytes,
      unready: () => this.#node.unready(),
      failed: (error) => this.#requestFailed(error),
    });
    this.#http = await this.runtime.serve(http, this.config);
    await this.#node.recover();
    if (this.config.natsUrl === undefined) this.#server = this.#embeddedServer();
    this.#watchDisk();
    this.#node.run();
    await Promise.race([this.#node.opened, this.failed]);
    this.#node.checkOpening();
    this.#postgres = this.#postgresWriter();
    this.#postgres?.start();
    return this.#http.port;
  }

  /** Finishes what is under way, syncs, and ends every part. */
  async stop(): Promise<void> {
    const answered = this.#http?.stop();
    const { shutdownTimeoutMs } = this.config;
    await this.#node.drain(shutdownTimeoutMs / 2);
    // A lock that is not given back in time runs out by itself.
    await Promise.race([this.#postgres?.stop(), after(shutdownTimeoutMs / 8)]);
    await this.#node.stop();
    clearInterval(this.#diskWatch);
    await Promise.race([answered, after(LAST_ANSWERS_MS)]);
    await this.#http?.cut();
    await this.#server?.stop(shutdownTimeoutMs / 4);
    this.lock.release();
  }

  /** The process is about to end without a stop: nothing of it may stay behind. */
  abandon(): void {
    this.#server?.kill();
  }

  #embeddedServer(): EmbeddedServer {
    const folder = join(this.config.data, "nats");
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    const executable = this.runtime.natsServer(folder);
    return new EmbeddedServer(executable, folder, randomUUID(), (level, message, facts) =>
      this.log[level](facts, message),
    );
  }

  /** Undefined where no database was named. */
  #postgresWriter(): PostgresWriter | undefined {
    const { postgresUrl, postgresPartitions, postgresLeaseMs, postgresHeartbeatMs } = this.config;
    if (postgresUrl === undefined || !this.runtime.postgres) return undefined;
    return new PostgresWriter(
      {
        connect: this.runtime.postgres(postgresUrl),
        lock: (connection, topic, partition) =>
          new PostgresLeaderLock(connection, systemClock, {
            topic,
            partition,
            serviceId: this.#name,
            leaseMs: postgresLeaseMs,
            heartbeatMs: postgresHeartbeatMs,
          }),
        source: (topic, partition) =>
          topic === "ledger"
            ? new LedgerSource(this.#node.feed, systemClock, partition, postgresPartitions)
            : this.#balanceChanges(partition),
        clock: systemClock,
        report: (level, message, facts) => this.log[level](facts, message),
      },
      this.config,
    );
  }

  /** Nobody else reaches a server of our own: there only the ledger's topic is written. */
  #balanceChanges(partition: number): BalanceChangeSource | undefined {
    const { natsUrl, streamMaxBytes, streamReplicas, remakeLostStream } = this.config;
    if (natsUrl === undefined) return undefined;
    const settings = { names: BALANCE_CHANGES, maxBytes: streamMaxBytes, replicas: streamReplicas };
    return new BalanceChangeSource(
      () => NatsSession.open(endpointOf(natsUrl), `coffer ${this.#name}`, settings, () => {}),
      { partition, remakeLostStream },
      systemClock,
      (level, message, facts) => this.log[level](facts, message),
    );
  }

  async #connect(answered: Parameters<typeof NatsSession.open>[3]): Promise<NatsSession> {
    const { natsUrl, streamMaxBytes, streamReplicas } = this.config;
    const endpoint = this.#server ? await this.#server.endpoint() : endpointOf(natsUrl ?? "");
    const settings = { maxBytes: streamMaxBytes, replicas: streamReplicas };
    return await NatsSession.open(endpoint, `coffer ${this.#name}`, settings, answered);
  }

  /** A connection has found its stream: register there, and serve what else goes over it. */
  async #joined(session: NatsSession): Promise<void> {
    await this.#purge.join(session, this.#node.markedSequence);
    this.#positions.join(session.connection);
    const timer = setInterval(() => this.#positions.tell(session.connection), POSITION_INTERVAL_MS);
    session.onEnd(() => clearInterval(timer));
  }

  /** Requests by NATS go to whichever node is ready. */
  #serveNats(session: NatsSession): void {
    serveTransfers(
      session.connection,
      (request, maxAnswerBytes) => this.#node.wallet.transferOrArray(request, maxAnswerBytes),
      (error) => this.#requestFailed(error),
    );
  }

  /** Below `minFreeBytes` commands stay where they are safe: with their callers and on the queue. */
  #watchDisk(): void {
    const { data, minFreeBytes } = this.config;
    let wasFull = false;
    const look = () => {
      const { bavail, bsize } = statfsSync(data);
      const free = bavail * bsize;
      const full = free < minFreeBytes;
      this.#node.pause(
        full ? `only ${free} bytes are free on the disk, of at least ${minFreeBytes}` : undefined,
      );
      if (full !== wasFull)
        this.log.warn({ free, minFreeBytes }, full ? "the disk is full" : "the disk has room again");
      wasFull = full;
    };
    look();
    this.#diskWatch = setInterval(look, DISK_CHECK_INTERVAL_MS);
  }

  #requestFailed(error: unknown): void {
    this.log.error({ error: textOf(error) }, "a request failed");
  }
}

async function takeLock(data: string, runtime: Runtime): Promise<FileLock> {
  for (const until = performance.now() + LOCK_PATIENCE_MS; ; ) {
    const lock = runtime.lock(join(data, "lock"));
    if (lock) return lock;
    if (performance.now() > until) throw new NodeRefused(`${data} is held by another process`);
    await after(LOCK_RETRY_MS);
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

function after(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

function randomInt32(): number {
  return crypto.getRandomValues(new Int32Array(1))[0] as number;
}

export function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
