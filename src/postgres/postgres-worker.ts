/** The PostgreSQL writer on a thread of its own: it reads events.log by itself. Started by postgres-thread.ts. */

import { parentPort, workerData } from "node:worker_threads";
import { DiskFolder } from "../eventlog/disk.ts";
import { DurableLogFeed } from "../eventlog/feed.ts";
import { LOG_NAME } from "../eventlog/recovery.ts";
import { endpointOf } from "../queue/nats-endpoint.ts";
import { NatsSession } from "../queue/nats-session.ts";
import { loadRuntime } from "../runtime/load.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { BalanceChangeSource, balanceChangesOf } from "./balance-change-source.ts";
import { PostgresLeaderLock } from "./leader-lock.ts";
import { LedgerSource } from "./ledger-source.ts";
import { type FromPostgres, type PostgresThreadData, type ToPostgres, topicsOf } from "./postgres-thread.ts";
import { PostgresWriter } from "./postgres-writer.ts";

if (!parentPort) throw new TypeError("the PostgreSQL writer's thread is started by coffer serve");
const parent = parentPort;
const { name, durable, config } = workerData as PostgresThreadData;
const {
  data,
  natsUrl = "",
  streamMaxBytes,
  streamReplicas,
  remakeLostChanges,
  postgresUrl = "",
  postgresPartitions,
  postgresLeaseMs: leaseMs,
  postgresHeartbeatMs: heartbeatMs,
} = config;

const PROGRESS_INTERVAL_MS = 1_000;

let end = durable;
/** Since when the node takes no commands; undefined while it does. */
let closedSinceMs: number | undefined;
const isCutOff = () => closedSinceMs !== undefined && systemClock.nowMs() - closedSinceMs > leaseMs;
const file = new DiskFolder(data, false).open(LOG_NAME, false);
if (!file) throw new Error(`${LOG_NAME} is not there`);
const feed = new DurableLogFeed(file, () => end);
const runtime = await loadRuntime();
if (!runtime.postgres) throw new Error(`${runtime.name} has no client for PostgreSQL`);

const writer = new PostgresWriter(
  {
    connect: runtime.postgres(postgresUrl),
    lock: (connection, topic, partition) =>
      new PostgresLeaderLock(connection, systemClock, {
        topic,
        partition,
        serviceId: name,
        leaseMs,
        heartbeatMs,
      }),
    source: (topic, partition) => {
      if (!topicsOf(config).includes(topic)) return undefined;
      return topic === "ledger"
        ? new LedgerSource(feed, systemClock, partition, postgresPartitions, isCutOff)
        : balanceChanges(partition);
    },
    clock: systemClock,
    report,
  },
  config,
);
parent.on("message", (message: ToPostgres) => {
  if (message.type === "durable") {
    end = message.position;
    feed.grown();
  } else if (message.type === "taking") {
    closedSinceMs = message.taking ? undefined : (closedSinceMs ?? systemClock.nowMs());
  } else {
    void writer.stop().then(() => tell({ type: "stopped" }));
  }
});
writer.start();
setInterval(() => tell({ type: "progress", partitions: writer.progress }), PROGRESS_INTERVAL_MS);

function balanceChanges(partition: number): BalanceChangeSource {
  const names = balanceChangesOf(postgresPartitions);
  const settings = { names, maxBytes: streamMaxBytes, replicas: streamReplicas };
  return new BalanceChangeSource(
    () => NatsSession.open(endpointOf(natsUrl), `coffer ${name}`, settings, () => {}),
    { partition, remakeLostChanges },
    systemClock,
    report,
  );
}

function report(
  level: "info" | "warn" | "error",
  message: string,
  facts: Readonly<Record<string, unknown>>,
): void {
  tell({ type: "report", level, message, facts });
}

function tell(message: FromPostgres): void {
  parent.postMessage(message);
}
