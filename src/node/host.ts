/** A node on this machine: its folder and lock, its nats-server or an outside one, HTTP, and what else goes over NATS. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { DiskFolder } from "../eventlog/disk.ts";
import { watchLoop } from "../metrics/loop-lag.ts";
import type { NodeLog } from "../ports/node-log.ts";
import { EmbeddedServer } from "../queue/embedded-server.ts";
import { endpointOf, isNotLetIn } from "../queue/nats-endpoint.ts";
import { QueueRefused } from "../queue/nats-queue.ts";
import { NatsSession } from "../queue/nats-session.ts";
import { beyondText, type NodePosition, nodeBeyond } from "../queue/other-nodes.ts";
import { Positions } from "../queue/positions.ts";
import { StreamPurge } from "../queue/purge.ts";
import { serveTransfers } from "../queue/transfer-service.ts";
import type { FileLock, Runtime, TlsPair } from "../runtime/runtime.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { freeBytes, makeFolder, nodeName, snapshotFolder, takeLock } from "./data-folder.ts";
import { Followers } from "./followers.ts";
import { type Access, Gateways } from "./gateways.ts";
import { LedgerNode, NodeRefused } from "./ledger-node.ts";
import { type MeasuredQueue, NodeMetrics } from "./node-metrics.ts";
import { GATEWAY_WORKER } from "./threads/gateway-thread.ts";

export const SERVE_SETTINGS = [
  "data",
  "host",
  "port",
  "tlsCert",
  "tlsKey",
  "currency",
  "strict",
  "natsUrl",
  "streamMaxBytes",
  "streamReplicas",
  "remakeLostStream",
  "acceptGap",
  "remakeLostChanges",
  "postgresUrl",
  "postgresPartitions",
  "postgresLeaseMs",
  "gatewayThreads",
  "outcomeTimeoutMs",
  "maxBodyBytes",
  "maxConnections",
  "minFreeBytes",
  "snapshotCommands",
  "sealCommands",
  "drainDelayMs",
  "shutdownTimeoutMs",
  "logLevel",
] as const;

export type ServeConfig = Config<(typeof SERVE_SETTINGS)[number]>;

/** The program of a thread, by its path from main.ts. */
export type Script = (path: string) => URL;

const POSITION_INTERVAL_MS = 1_000;
const DISK_CHECK_INTERVAL_MS = 1_000;
/** Connections may be kept open without a request: at a stop the last answers get a moment to leave. */
const LAST_ANSWERS_MS = 250;

export class Host {
  readonly #name: string;
  readonly #node: LedgerNode<NatsSession>;
  readonly #gateways: Gateways;
  readonly #followers: Followers;
  readonly #purge: StreamPurge;
  readonly #positions: Positions;
  readonly #metrics: NodeMetrics;
  #server: EmbeddedServer | undefined;
  #recovered = false;
  #wasLetIn = false;
  #diskWatch: ReturnType<typeof setInterval> | undefined;
  #freeBytes: number | undefined;
  /** Whether there were too many connections when it was last looked. */
  #keepsOut = false;
  #stopLoopWatch: () => void = () => {};
  #session: NatsSession | undefined;
  #sessions = 0;
  #hasWarnedOfOneCopy = false;

  /** Takes the folder. Rejects with NodeRefused where another process holds it. */
  static async open(
    config: ServeConfig,
    access: Access,
    runtime: Runtime,
    script: Script,
    log: NodeLog,
  ): Promise<Host> {
    if (config.postgresUrl !== undefined && !runtime.postgres)
      throw new NodeRefused(`--postgres-url requires Bun: ${runtime.name} has no PostgreSQL client`);
    const { gatewayThreads = 1 } = config;
    if (gatewayThreads > runtime.gatewayThreads.atMost)
      throw new NodeRefused(`--gateway-threads above ${runtime.gatewayThreads.atMost} requires Bun`);
    makeFolder(config.data);
    return new Host(config, access, runtime, script, log, await takeLock(config.data, runtime));
  }

  private constructor(
    private readonly config: ServeConfig,
    private readonly access: Access,
    private readonly runtime: Runtime,
    script: Script,
    private readonly log: NodeLog,
    private readonly lock: FileLock,
  ) {
    this.#name = nodeName(config.data);
    const outside = config.natsUrl !== undefined;
    this.#purge = new StreamPurge(this.#name, outside, config.streamReplicas, (level, message, facts) =>
      log[level](facts, message),
    );
    this.#node = new LedgerNode<NatsSession>(
      {
        folder: new DiskFolder(config.data),
        clock: systemClock,
        connect: (answered) => this.#connect(answered),
        nodePositions: (session) => this.#nodePositions(session),
        lost: (session, { sequence }) => this.#purge.lost(session, sequence),
        joined: (session) => this.#joined(session),
        opened: (session) => {
          this.#sessions++;
          this.#positions.tell(session.connection);
          this.#serveNats(session);
        },
        hashKey: [randomInt32(), randomInt32()],
        newUuid: () => crypto.randomUUID(),
        serverHangs: () => this.#server?.replace(),
        snapshots: snapshotFolder(config.data, log),
        hasRoom: (bytes) => freeBytes(config.data) - bytes >= config.minFreeBytes,
        checkLines: (end) => this.#followers.checkLines(end),
      },
      { ...config, embedded: !outside },
      log,
      {
        marked: (sequence) => this.#purge.marked(sequence),
        committed: (position) => {
          this.#gateways.mayAnswer(position.seq);
          this.#followers.grown(position);
        },
        takingChanged: () => this.#followers.taking(this.#node.taking),
      },
    );
    this.#followers = new Followers(config, {
      name: this.#name,
      log,
      script,
      sealed: (newestSeal) => this.#gateways.tell({ newestSeal }),
    });
    this.#gateways = new Gateways(config, {
      access,
      runtime,
      script: script(GATEWAY_WORKER),
      node: this.#node,
      linkNode: {
        failedRequest: (error) => log.error({ event: "request_failed", error }, "a request failed"),
        metrics: async () => this.#metrics.text(),
      },
    });
    this.#metrics = new NodeMetrics({
      runtime,
      measures: this.#node.measures,
      gateways: this.#gateways.measures,
      taking: () => this.#node.taking,
      durable: () => (this.#recovered ? this.#node.durable : undefined),
      counters: () => this.#node.counters,
      snapshots: () => this.#node.snapshots,
      queue: () => this.#measuredQueue(),
      disk: () => ({ freeBytes: this.#freeBytes, minFreeBytes: config.minFreeBytes }),
      seals: () => this.#followers.seals,
      postgres: () => this.#followers.postgres,
    });
    this.#positions = new Positions(
      this.#name,
      this.#node,
      (node) => this.#purge.registered.has(node),
      (why) => this.#node.fail(new NodeRefused(why)),
    );
  }

  /** Rejects with the reason when the node must stop at once. Never resolves. */
  get failed(): Promise<never> {
    return this.#node.failed;
  }

  /** Starts everything; resolves with the HTTP port when the node is ready. Rejects where it cannot start. */
  async start(): Promise<number> {
    this.#stopLoopWatch = watchLoop(systemClock, this.#node.measures.loopLag);
    const port = await this.#gateways.start();
    this.access.keys.start(this.log, (keys) => this.#gateways.tell({ keys }));
    await this.#node.recover();
    this.#recovered = true;
    this.#followers.recovered(this.#node.durable);
    if (this.config.natsUrl === undefined) this.#server = this.#embeddedServer();
    this.#watchDisk();
    this.#node.run();
    await Promise.race([this.#node.opened, this.failed]);
    await this.#checkOpening();
    this.#followers.opened(this.#node.durable);
    // They have been told that commands are taken; whoever reads the port's line may send some at once.
    await this.#gateways.call("sync");
    return port;
  }

  /** A node that must not go on is not waited for by the others either. */
  async #checkOpening(): Promise<void> {
    try {
      this.#node.checkOpening();
    } catch (error) {
      await this.#purge.withdraw();
      throw error;
    }
  }

  /** Serves another certificate to new connections. Rejects where that cannot be: the old one is served on. */
  renewTls(tls: TlsPair): Promise<void> {
    return this.#gateways.renewTls(tls);
  }

  /** Not ready from now on, though everything is still served: a load balancer sends its requests elsewhere. */
  leave(): void {
    this.#gateways.leave();
  }

  /** Finishes what is under way, syncs, and ends every part. `facts` are for the node's log. */
  async stop(facts: Readonly<Record<string, unknown>>): Promise<void> {
    const answered = this.#gateways.call("stop_accepting");
    const { shutdownTimeoutMs } = this.config;
    const drained = this.#node.drain(shutdownTimeoutMs / 2);
    await this.#gateways.call("sync");
    this.log.info({ event: "stopping", ...facts }, "stopping");
    await drained;
    // A lock that is not given back in time runs out by itself.
    await this.#followers.closing(after(shutdownTimeoutMs / 8));
    await this.#node.stop(shutdownTimeoutMs / 8);
    await this.#followers.closed(after(shutdownTimeoutMs / 8));
    await this.#gateways.call("close");
    clearInterval(this.#diskWatch);
    this.access.keys.close();
    this.#stopLoopWatch();
    await Promise.race([answered, after(LAST_ANSWERS_MS)]);
    await this.#gateways.call("cut");
    await this.#gateways.end();
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
    const places = this.runtime.natsServer(folder);
    return new EmbeddedServer(places, folder, crypto.randomUUID(), (level, message, facts) =>
      this.log[level](facts, message),
    );
  }

  async #connect(answered: Parameters<typeof NatsSession.open>[3]): Promise<NatsSession> {
    const { natsUrl, streamMaxBytes, streamReplicas } = this.config;
    const endpoint = this.#server ? await this.#server.endpoint() : endpointOf(natsUrl ?? "");
    const settings = { maxBytes: streamMaxBytes, replicas: streamReplicas };
    try {
      const session = await NatsSession.open(endpoint, `coffer ${this.#name}`, settings, answered);
      this.#wasLetIn = true;
      return session;
    } catch (error) {
      // Later on it may be a server that is being configured; at the start it is a wrong password.
      if (!this.#wasLetIn && isNotLetIn(error))
        this.#node.fail(new NodeRefused("NATS_URL: NATS authentication failed"));
      throw error;
    }
  }

  /** A connection has found its stream: register there, and serve what else goes over it. */
  async #joined(session: NatsSession): Promise<void> {
    await this.#purge.join(session, this.#node.markedSequence);
    await this.#warnOfOneCopy(session);
    this.#session = session;
    const timer = setInterval(() => {
      this.#positions.tell(session.connection);
      void this.#holdAgainstOthers(session);
    }, POSITION_INTERVAL_MS);
    session.onEnd(() => {
      clearInterval(timer);
      this.#session = undefined;
    });
  }

  /** Asks the nodes that are registered where their logs are, before the stream is looked at. */
  async #nodePositions(session: NatsSession): Promise<readonly NodePosition[]> {
    await this.#purge.look(session);
    const others = [...this.#purge.registered.keys()].filter((node) => node !== this.#name);
    const silent = await this.#positions.join(session.connection, others, session.ended);
    if (silent.size > 0 && !session.over)
      this.log.warn(
        { event: "nodes_silent", nodes: [...silent] },
        "registered nodes do not report their positions: commands that only they have logged are unknown",
      );
    return this.#knownPositions();
  }

  #knownPositions(): readonly NodePosition[] {
    if (this.config.natsUrl === undefined) return [];
    const marks = [...this.#purge.registered].map(([node, sequence]) => ({ node, sequence }));
    return [...marks, ...this.#positions.furthest];
  }

  /** Replicas are as safe as their stream: with one copy, a server's disk can take what some of them have logged. */
  async #warnOfOneCopy(session: NatsSession): Promise<void> {
    const nodes = this.#purge.registered.size;
    if (nodes < 2 || this.#hasWarnedOfOneCopy) return;
    const copies = await session.copies();
    if (copies > 1) return;
    this.#hasWarnedOfOneCopy = true;
    this.log.warn(
      { event: "stream_not_replicated", nodes },
      "several nodes share a stream that is not replicated: use three servers and --stream-replicas 3",
    );
  }

  /** Once a second the stream is held against what nodes have logged. */
  async #holdAgainstOthers(session: NatsSession): Promise<void> {
    const positions = this.#knownPositions(); // before the stream is asked: beyond its end is a loss then
    const stream = await session.stream().catch(() => undefined);
    if (!stream || this.#session !== session) return;
    const beyond = nodeBeyond(positions, stream.lastSequence);
    if (beyond) this.#node.fail(new QueueRefused(beyondText(beyond, stream.lastSequence)));
  }

  #measuredQueue(): MeasuredQueue {
    return { sessions: this.#sessions, behind: this.#session?.behind, stream: this.#node.stream };
  }

  /** Requests by NATS go to whichever node is ready. */
  #serveNats(session: NatsSession): void {
    serveTransfers(
      session.connection,
      (request, maxAnswerBytes) => this.#gateways.ask(request, maxAnswerBytes),
      (error) => this.log.error({ event: "request_failed", error: textOf(error) }, "a request failed"),
    );
  }

  /** Below `minFreeBytes` commands stay where they are safe: with their callers and on the queue. */
  #watchDisk(): void {
    const { data, minFreeBytes } = this.config;
    let wasFull = false;
    const look = () => {
      const free = freeBytes(data);
      this.#freeBytes = free;
      const full = free < minFreeBytes;
      this.#node.pause(
        full ? `the disk has only ${free} bytes free, below the minimum of ${minFreeBytes}` : undefined,
      );
      if (full !== wasFull)
        this.log.warn(
          { event: full ? "disk_full" : "disk_has_room", free, minFreeBytes },
          full ? "the disk is full" : "the disk has room again",
        );
      wasFull = full;
      this.#lookAtConnections();
    };
    look();
    this.#diskWatch = setInterval(look, DISK_CHECK_INTERVAL_MS);
  }

  #lookAtConnections(): void {
    const full = this.#gateways.measures.some(({ told }) => told.full > 0);
    if (full === this.#keepsOut) return;
    this.#keepsOut = full;
    const { maxConnections } = this.config;
    this.log.warn(
      { event: full ? "connections_full" : "connections_available", maxConnections },
      full ? "connection limit reached: new connections are refused" : "new connections are accepted again",
    );
  }
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
