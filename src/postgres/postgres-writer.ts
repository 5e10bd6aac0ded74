/** Keeps PostgreSQL up with the ledger: the schema first, then a writer for every partition of every topic. */

import type { Clock } from "../ports/clock.ts";
import type { SqlConnect, SqlConnection } from "../ports/sql-connection.ts";
import { type ChangeWriter, TOPICS, type Topic } from "./balance-changes.ts";
import { batchWriter } from "./batch/batch-writer.ts";
import type { ChangeSource } from "./change-source.ts";
import type { LeaderLock } from "./leadership.ts";
import { migrateWith, SchemaRefused } from "./migrate.ts";
import {
  FIRST_BACKOFF_MS,
  MAX_BACKOFF_MS,
  type PartitionProgress,
  PartitionWriter,
  type PartitionWriterParts,
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
  readonly postgresLeaseMs: number;
}

export class PostgresWriter {
  readonly #writers: readonly PartitionWriter[];
  #refused: string | undefined;
  readonly #stopping = new AbortController();
  #finished: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly parts: PostgresWriterParts,
    private readonly settings: PostgresSettings,
    writer: ChangeWriter = batchWriter(settings.postgresPartitions),
  ) {
    this.#writers = TOPICS.flatMap((topic) => this.#partitionsOf(topic, writer));
  }

  /** Of each partition of each topic that this node reads. */
  get progress(): readonly PartitionProgress[] {
    const progress = this.#writers.map((writer) => writer.progress);
    const why = this.#refused;
    return why === undefined ? progress : progress.map((each) => ({ ...each, is: "halted", why }));
  }

  start(): void {
    this.#finished = this.#run();
  }

  /** Gives every lock back. Resolves when that is done; with nothing that can hang, but the servers' answers. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const writer of this.#writers) writer.stop();
    await this.#finished;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (let retryMs = FIRST_BACKOFF_MS; !signal.aborted; retryMs = Math.min(retryMs * 2, MAX_BACKOFF_MS)) {
      if (await this.#migrated(retryMs)) break;
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = this.parts.clock.after(retryMs, resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (!signal.aborted) await promise;
      cancel();
    }
    await Promise.all(this.#writers.map((writer) => writer.run()));
  }

  /** False where it is to be tried again. */
  async #migrated(retryMs: number): Promise<boolean> {
    const { signal } = this.#stopping;
    try {
      await migrateWith(this.parts.connect, this.settings.postgresPartitions, signal);
      if (this.#refused !== undefined)
        this.parts.report("info", "the database is accepted again", { event: "postgres_resumed" });
      this.#refused = undefined;
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof SchemaRefused) {
        const facts = { event: "postgres_refused", reason } as const;
        if (reason !== this.#refused) this.parts.report("error", "nothing is written to PostgreSQL", facts);
        this.#refused = reason;
      } else if (!signal.aborted) {
        this.parts.report("warn", "PostgreSQL is unavailable", { event: "postgres_away", reason, retryMs });
      }
      return false;
    }
  }

  #partitionsOf(topic: Topic, writer: ChangeWriter): PartitionWriter[] {
    const { connect, clock, report } = this.parts;
    const { postgresPartitions, postgresLeaseMs } = this.settings;
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
          },
        ),
      ];
    });
  }
}
