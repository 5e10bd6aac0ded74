/** What a node tells Prometheus. Everything is looked up when it is asked for: nothing is counted on the way. */

import { Gauge, Registry } from "prom-client";
import type { LogPosition } from "./ports/log-position.ts";
import type { Seal } from "./ports/seals.ts";
import type { PartitionProgress } from "./projection/postgres/partition-writer.ts";

export interface MeasuredNode {
  /** Whether commands are taken. */
  taking(): boolean;
  /** Where the log on disk ends; undefined before it is recovered. */
  durable(): LogPosition | undefined;
  /** Undefined where nothing is to be sealed. */
  seals(): { readonly newest: Seal | undefined; readonly halted: boolean } | undefined;
  /** Of each partition that this node may write to PostgreSQL. */
  postgres(): readonly PartitionProgress[];
}

export class NodeMetrics {
  readonly #registry = new Registry();

  constructor(node: MeasuredNode) {
    this.#gauge("coffer_taking_commands", "1 where commands are taken, else 0", () => Number(node.taking()));
    this.#gauge("coffer_log_seq", "Events in the log on disk", () => node.durable()?.seq);
    this.#gauge("coffer_log_bytes", "Bytes of the log on disk", () => node.durable()?.bytes);
    this.#gauge(
      "coffer_sealed_seq",
      "The last event that the newest seal covers",
      () => node.seals()?.newest?.seq,
    );
    this.#gauge(
      "coffer_sealing_halted",
      "1 where nothing is sealed until the node is started again, else 0; its log says why",
      () => node.seals() && Number(node.seals()?.halted),
    );
    this.#gauge("process_resident_memory_bytes", "Resident memory in bytes", () => process.memoryUsage.rss());
    this.#partitions(
      "coffer_postgres_lag",
      "Events (ledger) or messages (changes) that PostgreSQL does not have yet",
      () => node.postgres(),
      ({ lag }) => lag,
    );
    this.#partitions(
      "coffer_postgres_leading",
      "1 where this node writes the partition, else 0",
      () => node.postgres(),
      (partition) => Number(partition.is === "leading"),
    );
    this.#partitions(
      "coffer_postgres_halted",
      "1 where nothing is written until the node is started again, else 0; its log says why",
      () => node.postgres(),
      (partition) => Number(partition.is === "halted"),
    );
  }

  /** In Prometheus' text format, version 0.0.4. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string, value: () => number | undefined): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        const known = value();
        if (known === undefined) this.remove({});
        else this.set(known);
      },
    });
  }

  #partitions(
    name: string,
    help: string,
    partitions: () => readonly PartitionProgress[],
    value: (partition: PartitionProgress) => number | undefined,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: ["topic", "partition"],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const partition of partitions()) {
          const known = value(partition);
          if (known !== undefined)
            this.set({ topic: partition.topic, partition: String(partition.partition) }, known);
        }
      },
    });
  }
}
