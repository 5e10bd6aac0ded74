/** Keeps PostgreSQL up with the ledger: the schema first, then a writer for every partition of every topic. */

import { type ChangeWriter, TOPICS, type Topic } from "../../ports/balance-changes.ts";
import type { ChangeSource } from "../../ports/change-source.ts";
import type { Clock } from "../../ports/clock.ts";
import type { LeaderLock } from "../../ports/leadership.ts";
import type { SqlConnect, SqlConnection } from "../../ports/sql-connection.ts";
import { batchWriter } from "./batch/batch-writer.ts";
import { migrate, SchemaRefused } from "./migrate.ts";
import {
  type PartitionProgress,
  PartitionWriter,
  type PartitionWriterParts,
  type WriterState,
} from "./partition-writer.ts";

export interface PostgresWriterParts extends Pick<PartitionWriterParts, "report"> {
  readonly connect: SqlConnect;
  lock(connection: SqlConnection, topic: Topic, partition: number): LeaderLock;
  /** Undefined for a topic that this node does not read. */
  source(topic: Topic, partition: number): ChangeSource | undefined;
  readonly clock: Clock;
}

export interface PostgresSettings {
  readonly postgresPartitions: number;
  readonly postgresBatchSize: number;
  readonly postgresLeaseMs: number;
  readonly postgresHeartbeatMs: number;
}

const RETRY_MS = 1_000;

export class PostgresWriter {
  readonly #writers: readonly PartitionWriter[];
  #refused: string | undefined;
  #stopping = false;
  #wake: () => void = () => {};
  #finished: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly parts: PostgresWriterParts,
    private readonly settings: PostgresSettings,
    writer: ChangeWriter = batchWriter(settings.postgresPartitions),
  ) {
    this.#writers = TOPICS.flatMap((topic) => this.#partitionsOf(topic, writer));
  }

  /** Of each partition of each topic. */
  get states(): readonly WriterState[] {
    if (this.#refused !== undefined) return [{ is: "halted", why: this.#refused }];
    return this.#writers.map(({ state }) => state);
  }

  /** Of each partition of each topic that this node reads. */
  get progress(): readonly PartitionProgress[] {
    return this.#writers.map(({ progress }) => progress);
  }

  start(): void {
    this.#finished = this.#run();
  }

  /** Gives every lock back. Resolves when that is done; with nothing that can hang, but the servers' answers. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const writer of this.#writers) writer.stop();
    this.#wake();
    await this.#finished;
  }

  async #run(): Promise<void> {
    while (!this.#stopping && !(await this.#migrated())) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const cancel = this.parts.clock.after(RETRY_MS, resolve);
      await promise;
      cancel();
    }
    if (this.#refused === undefined) await Promise.all(this.#writers.map((writer) => writer.run()));
  }

  /** False where it is to be tried again. */
  async #migrated(): Promise<boolean> {
    try {
      await migrateWith(this.parts.connect, this.settings.postgresPartitions);
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof SchemaRefused) {
        this.#refused = reason;
        this.parts.report("error", "nothing is written to PostgreSQL", { reason });
        return true;
      }
      this.parts.report("warn", "PostgreSQL away", { reason, retryMs: RETRY_MS });
      return false;
    }
  }

  #partitionsOf(topic: Topic, writer: ChangeWriter): PartitionWriter[] {
    const { connect, clock, report } = this.parts;
    const { postgresPartitions, postgresBatchSize, postgresLeaseMs, postgresHeartbeatMs } = this.settings;
    return Array.from({ length: postgresPartitions }, (_, partition) => partition).flatMap((partition) => {
      const source = this.parts.source(topic, partition);
      if (!source) return [];
      return [
        new PartitionWriter(
          {
            connect,
            lock: (connection) => this.parts.lock(connection, topic, partition),
            source,
            writer,
            clock,
            report,
          },
          {
            topic,
            partition,
            leaseMs: postgresLeaseMs,
            heartbeatMs: postgresHeartbeatMs,
            batchSize: postgresBatchSize,
          },
        ),
      ];
    });
  }
}

/** On a connection of its own, without limits: a migration may take its time. Throws SchemaRefused. */
export async function migrateWith(connect: SqlConnect, partitions: number): Promise<readonly number[]> {
  const connection = await connect({ applicationName: "coffer migrate", timeoutMs: 0 });
  try {
    return await migrate(connection, partitions);
  } finally {
    await connection.close();
  }
}
