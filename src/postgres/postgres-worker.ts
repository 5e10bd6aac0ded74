/** The PostgreSQL writer on a thread of its own. */

import { follow } from "../followers/follow.ts";
import { endpointOf } from "../queue/nats-endpoint.ts";
import { NatsSession } from "../queue/nats-session.ts";
import { loadRuntime } from "../runtime/load.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { BalanceChangeSource, balanceChangesOf } from "./balance-change-source.ts";
import { PostgresLeaderLock } from "./leader-lock.ts";
import { LedgerSource } from "./ledger-source.ts";
import { POSTGRES, topicsOf } from "./postgres-follower.ts";
import { PostgresWriter } from "./postgres-writer.ts";

const PROGRESS_INTERVAL_MS = 1_000;

follow(POSTGRES, async ({ settings, feed, onTaking, progress, report }) => {
  const { name, config } = settings;
  const {
    natsUrl = "",
    streamMaxBytes,
    streamReplicas,
    remakeLostChanges,
    postgresUrl = "",
    postgresPartitions,
    postgresLeaseMs: leaseMs,
  } = config;
  /** Since when the node takes no commands; undefined while it does. */
  let closedSinceMs: number | undefined;
  onTaking((taking) => {
    closedSinceMs = taking ? undefined : (closedSinceMs ?? systemClock.nowMs());
  });
  const isCutOff = () => closedSinceMs !== undefined && systemClock.nowMs() - closedSinceMs > leaseMs;
  const runtime = await loadRuntime();
  if (!runtime.postgres) throw new Error(`${runtime.name} has no PostgreSQL client`);

  const balanceChanges = (partition: number): BalanceChangeSource => {
    const names = balanceChangesOf(postgresPartitions);
    const stream = { names, maxBytes: streamMaxBytes, replicas: streamReplicas };
    return new BalanceChangeSource(
      () => NatsSession.open(endpointOf(natsUrl), `coffer ${name}`, stream, () => {}),
      { partition, remakeLostChanges },
      systemClock,
      report,
    );
  };
  const writer = new PostgresWriter(
    {
      connect: runtime.postgres(postgresUrl),
      lock: (connection, topic, partition) =>
        new PostgresLeaderLock(connection, systemClock, {
          topic,
          partition,
          serviceId: name,
          leaseMs,
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
  const stopped = Promise.withResolvers<void>();
  return {
    run: async () => {
      writer.start();
      const reporting = setInterval(() => progress(writer.progress), PROGRESS_INTERVAL_MS);
      await stopped.promise; // also when every partition has halted: what it says of them is still asked for
      clearInterval(reporting);
    },
    stop: () => void writer.stop().then(stopped.resolve, stopped.reject),
  };
});
